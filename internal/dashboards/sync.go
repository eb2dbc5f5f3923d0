package dashboards

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-logr/logr"
	gapi "github.com/grafana/grafana-api-golang-client"

	built "github.com/kubebot/kubebot/internal/component/grafana/dashboards"
	"github.com/kubebot/kubebot/internal/dashboards/config"
	"github.com/kubebot/kubebot/internal/naming"
	"github.com/kubebot/kubebot/internal/notify/secretfile"
)

// Syncer brings a Grafana to what it should have, and back to it.
type Syncer struct {
	// CredentialsDir and ExtraDir are folders of mounted files.
	CredentialsDir, ExtraDir string
	// Transport makes the calls.
	Transport http.RoundTripper
	// Metrics count what was done.
	Metrics *Metrics
	// Now is the clock.
	Now func() time.Time

	// known remembers by UID what Grafana made of a dashboard that KubeBot wrote, so that another form of the same is no
	// drift.
	known map[string]known
}

// known is what was written, and the hash of what Grafana then had.
type known struct{ wanted, got string }

// Sync looks once at Grafana, writes what differs, and says what it found.
func (s *Syncer) Sync(ctx context.Context, c config.Config) config.Report {
	ctx, cancel := context.WithTimeout(ctx, config.Timeout)
	defer cancel()
	hash, err := c.Hash()
	report := config.Report{ConfigHash: hash}
	if err == nil {
		err = s.sync(ctx, c, &report)
	}
	if err != nil {
		report.Trouble, report.Message = explain(c, err)
		logr.FromContextOrDiscard(ctx).Info("Grafana does not have all that it should", "trouble", report.Trouble, "reason", err.Error())
	}
	report.Looked = s.Now()
	s.Metrics.observe(report)
	return report
}

// secretError names a Secret that can't be read.
type secretError struct{ message string }

func (e *secretError) Error() string { return e.message }

func (s *Syncer) sync(ctx context.Context, c config.Config, report *config.Report) error {
	show, err := s.credentials(c)
	if err != nil {
		return err
	}
	client, err := newClient(ctx, c.URL, s.Transport, show)
	if err != nil {
		return err
	}
	health, err := client.Health()
	if err != nil {
		return &unreachable{err}
	}
	report.GrafanaVersion = health.Version
	options := c.Options()
	all, err := built.All(options)
	if err != nil {
		return err
	}
	more, problems := extras(s.ExtraDir, c)
	all, report.Problems = append(all, more...), problems
	pass := pass{syncer: s, client: client, config: c, options: options, log: logr.FromContextOrDiscard(ctx)}
	if report.DataSources, err = pass.sources(); err != nil {
		return err
	}
	if err := pass.folder(); err != nil {
		return err
	}
	if report.Dashboards, err = pass.dashboards(all); err != nil {
		return err
	}
	if c.Own {
		return pass.home()
	}
	return nil
}

// unreachable wraps an error of the first call, which asks for nothing but life.
type unreachable struct{ cause error }

func (e *unreachable) Error() string { return "ask Grafana for its health: " + e.cause.Error() }
func (e *unreachable) Unwrap() error { return e.cause }

func (s *Syncer) credentials(c config.Config) (credentials, error) {
	show := credentials{user: c.User}
	for _, one := range []struct {
		ref     *config.Ref
		file    string
		into    *string
		purpose string
	}{
		{c.Secrets.Token, config.TokenFile, &show.token, "the token of a service account of Grafana"},
		{c.Secrets.User, config.UserFile, &show.user, "Grafana's user name"},
		{c.Secrets.Password, config.PasswordFile, &show.password, "Grafana's password"},
	} {
		if one.ref == nil {
			continue
		}
		ref := secretfile.Ref{File: filepath.Join(s.CredentialsDir, one.file), Secret: one.ref.Name, Key: one.ref.Key}
		value, err := secretfile.Read(ref)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, secretfile.ErrEmpty) {
			return credentials{}, &secretError{secretfile.Missing(ref, one.purpose)}
		}
		if err != nil {
			return credentials{}, err
		}
		*one.into = value
	}
	return show, nil
}

// explain turns an error into a kind of trouble and a sentence with what to do.
func explain(c config.Config, err error) (config.Trouble, string) {
	var missing *secretError
	if errors.As(err, &missing) {
		return config.SecretMissing, missing.message
	}
	switch code := status(err); {
	case code == http.StatusUnauthorized && c.Own:
		return config.Refused,
			fmt.Sprintf("Grafana does not take the password of Secret %q: its volume holds an older one; run `grafana cli admin reset-admin-password` "+
				"in its pod with the password of the Secret", c.Secrets.Password.Name)
	case code == http.StatusUnauthorized:
		return config.Refused, "Grafana does not take the credentials (401): put a valid token, or user name and password, into the Secret that spec.dashboards.grafana.external names"
	case code == http.StatusForbidden:
		return config.Refused,
			"Grafana does not let these credentials do what is needed (403): give the service account or user the role Admin of its organisation; " +
				"data sources need it, folders and dashboards the role Editor"
	case code >= http.StatusMultipleChoices && code < http.StatusBadRequest:
		return config.Unreachable, "what answers at Grafana's address redirects to another one: give that in spec.dashboards.grafana.external.url"
	case code >= http.StatusInternalServerError:
		return config.Unreachable, fmt.Sprintf("Grafana answers with HTTP status %d", code)
	}
	var first *unreachable
	var network *url.Error
	if errors.As(err, &first) || errors.As(err, &network) && status(err) == 0 {
		return config.Unreachable, "Grafana does not answer"
	}
	return config.Failed, err.Error()
}

// pass is one look at Grafana.
type pass struct {
	syncer  *Syncer
	client  *gapi.Client
	config  config.Config
	options built.Options
	log     logr.Logger
}

func (p pass) wrote(kind, action, uid string) {
	p.syncer.Metrics.writes.WithLabelValues(kind, action).Inc()
	p.log.Info("Grafana was changed", "kind", kind, "action", action, "uid", uid)
}

// folderUID is that of the folder for all dashboards.
func (p pass) folderUID() string { return strings.TrimSuffix(p.options.Prefix, "-") }

func (p pass) folder() error {
	title := "KubeBot " + p.config.ClusterName
	have, err := p.client.FolderByUID(p.folderUID())
	switch {
	case status(err) == http.StatusNotFound:
		if _, err := p.client.NewFolder(title, p.folderUID()); err != nil {
			return fmt.Errorf("make the folder %q: %w", title, err)
		}
		p.wrote(kindFolder, actionCreate, p.folderUID())
	case err != nil:
		return fmt.Errorf("read the folder %q: %w", title, err)
	case have.Title != title:
		if err := p.client.UpdateFolder(p.folderUID(), title); err != nil {
			return fmt.Errorf("name the folder %q: %w", title, err)
		}
		p.wrote(kindFolder, actionUpdate, p.folderUID())
	}
	return nil
}

// home makes KubeBot's home dashboard the one to begin with, unless somebody chose another. The other preferences are
// sent back as they are.
func (p pass) home() error {
	have, err := p.client.OrgPreferences()
	if err != nil {
		return fmt.Errorf("read the preferences: %w", err)
	}
	if have.HomeDashboardUID != "" || have.HomeDashboardID != 0 {
		return nil
	}
	have.HomeDashboardUID = p.options.UID(built.Home)
	if _, err := p.client.UpdateOrgPreferences(have); err != nil {
		return fmt.Errorf("set the home dashboard: %w", err)
	}
	p.wrote(kindPreferences, actionUpdate, have.HomeDashboardUID)
	return nil
}

func hash(v any) string {
	sum, err := naming.Hash(v)
	if err != nil {
		return "" // decoded JSON can always be encoded; an empty hash equals no other
	}
	return sum
}
