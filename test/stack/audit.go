package stack

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// AuditEvent is one request in the API server's audit log, as far as it is used.
type AuditEvent struct {
	Verb       string
	RequestURI string
	User       struct{ Username string }
	ObjectRef  struct {
		Resource, Subresource, Namespace, Name, APIGroup string
	}
	ResponseStatus           struct{ Code int }
	RequestReceivedTimestamp time.Time
}

// ServiceAccount returns namespace and name of the service account that asked, or two empty strings.
func (e AuditEvent) ServiceAccount() (namespace, name string) {
	parts := strings.Split(e.User.Username, ":")
	if len(parts) != 4 || parts[0] != "system" || parts[1] != "serviceaccount" {
		return "", ""
	}
	return parts[2], parts[3]
}

// Resource is the resource with its subresource, as a role names it.
func (e AuditEvent) Resource() string {
	if e.ObjectRef.Subresource != "" {
		return e.ObjectRef.Resource + "/" + e.ObjectRef.Subresource
	}
	return e.ObjectRef.Resource
}

// Write tells whether the request changes something, dry runs and leases included.
func (e AuditEvent) Write() bool {
	switch e.Verb {
	case "create", "update", "patch", "delete", "deletecollection":
		return true
	}
	return false
}

// Audit calls visit for every request since a time. It needs a local cluster.
func (c *Cluster) Audit(since time.Time, visit func(AuditEvent)) error {
	return ReadAudit(c.AuditLog(), since, visit)
}

// ReadAudit calls visit for every request since a time in an audit log.
func ReadAudit(log string, since time.Time, visit func(AuditEvent)) error {
	f, err := os.Open(log)
	if err != nil {
		return fmt.Errorf("open the audit log: %w", err)
	}
	defer func() { _ = f.Close() }()
	in := bufio.NewScanner(f)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		var e AuditEvent
		if err := json.Unmarshal(in.Bytes(), &e); err != nil {
			continue // the last line may be half written
		}
		if !e.RequestReceivedTimestamp.Before(since) {
			visit(e)
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("read the audit log: %w", err)
	}
	return nil
}
