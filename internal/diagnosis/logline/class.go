package logline

import (
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Class is what a line speaks of.
type Class string

// Classes of lines.
const (
	ClassNone        Class = ""
	ClassDNS         Class = "dns"
	ClassRefused     Class = "refused"
	ClassTimeout     Class = "timeout"
	ClassCertificate Class = "certificate"
	ClassMemory      Class = "memory"
	ClassDisk        Class = "disk"
	ClassPermission  Class = "permission"
	ClassForbidden   Class = "forbidden"
	ClassPort        Class = "port"
	ClassPrivilege   Class = "privilege"
	ClassFormat      Class = "format"
	ClassFile        Class = "file"
	ClassConfig      Class = "config"
)

// lowPort is a port below 1024.
const lowPort = `(?:\d{1,3}|10[01]\d|102[0-3])`

// classes in the order in which they are tried: what is nearer to the root first.
var classes = []struct {
	class   Class
	pattern *regexp.Regexp
}{
	{ClassCertificate, regexp.MustCompile(`x509: |certificate has expired|certificate is not yet valid|CERTIFICATE_VERIFY_FAILED|CERT_HAS_EXPIRED|PKIX path|CertificateExpiredException|SSLHandshakeException|self[- ]signed certificate|tls: (?:bad|expired|unknown) certificate|alert (?:bad certificate|certificate (?:expired|unknown)|unknown ca)|certificate verify failed|invalid peer certificate|remote certificate (?:is invalid|was rejected)|UNABLE_TO_VERIFY_LEAF|DEPTH_ZERO_SELF_SIGNED`)},
	{ClassDNS, regexp.MustCompile(`no such host|lookup \S+(?: on \S+)?: |(?i:name resolution|name or service not known|could not resolve host|nodename nor servname|UnknownHostException|ENOTFOUND|EAI_AGAIN|server misbehaving|failed to resolve|could not translate host name|produced zero addresses|gaierror|name does not resolve|lookup address information|no address associated with|: bad address '|host not found in upstream|unknown (?:mysql )?server host|php_network_getaddresses)`)},
	{ClassForbidden, regexp.MustCompile(`is forbidden: User "|(?:cannot (?:get|list|watch|create|update|patch|delete) resource)`)},
	{ClassDisk, regexp.MustCompile(`(?i)no space left on device|ENOSPC|disk quota exceeded`)},
	{ClassMemory, regexp.MustCompile(`(?i)\bOutOfMemoryError|out of memory|heap out of memory|\b(?:_Array)?MemoryError|cannot allocate memory|bad_alloc`)},
	{ClassPort, regexp.MustCompile(`(?i)address already in use|EADDRINUSE|\bport \d+ (?:is|was) already in use`)},
	// Only root may open ports below 1024, unless the node allows it to all. A Unix socket is a file.
	{ClassPrivilege, regexp.MustCompile(`(?i)\bbind\b.*:` + lowPort + `\b.*permission denied|:` + lowPort +
		`: bind: permission denied|permission denied.*\bbind\b.*:` + lowPort +
		`\b|listen EACCES\S* (?:permission denied )?\S*:` + lowPort + `\b|BindException: permission denied`)},
	{ClassFormat, regexp.MustCompile(`exec format error`)},
	{ClassRefused, regexp.MustCompile(`(?i)connection refused|ECONNREFUSED|connect: refused|server on '[^']+' \((?:111|115)\)`)},
	{ClassTimeout, regexp.MustCompile(`(?i)i/o timeout|connection timed out|connect timed out|ETIMEDOUT|dial tcp .*(?:deadline exceeded|timeout)|no route to host|network is unreachable|EHOSTUNREACH|timeout expired|:\d+ - no response\b|server on '[^']+' \((?:110|113)\)`)},
	{ClassPermission, regexp.MustCompile(`(?i)permission denied|EACCES|EPERM|operation not permitted|read-only file system|EROFS`)},
	{ClassFile, regexp.MustCompile(`(?i)no such file or directory|ENOENT|FileNotFoundException|FileNotFoundError|cannot find module|ModuleNotFoundError|NoClassDefFoundError|ClassNotFoundException`)},
	{ClassConfig, regexp.MustCompile(`(?i)environment variable|env(?:ironment)? .*(?:not set|missing|required)|(?:is|are) (?:required|not set|not specified|missing|mandatory)|missing required|must be set|invalid (?:config|configuration|value|option|argument|port|address|url|format|flag)|unknown (?:flag|option|command|subcommand|field|service|argument|key)|flag provided but not defined|unrecognized (?:option|argument)|(?:parse|parsing|load|loading|read|reading|decode|unmarshal)\w* .*(?:config|settings|yaml|json|toml)|(?:yaml|toml|json): |cannot unmarshal|lookup tcp/|unknown port|usage:`)},
}

// Classify returns what a line speaks of.
func Classify(text string) Class {
	for _, c := range classes {
		if c.pattern.MatchString(text) {
			if c.class == ClassDNS && portLookup.MatchString(text) {
				continue // Go's "lookup tcp/99999: invalid port" is no name
			}
			return c.class
		}
	}
	return ClassNone
}

// Endpoint is what a line says a call went to. Port is 0 where it is not said.
type Endpoint struct {
	Host string
	Port int
}

// String is host:port, or the host.
func (e Endpoint) String() string {
	if e.Port == 0 {
		return e.Host
	}
	return net.JoinHostPort(e.Host, strconv.Itoa(e.Port))
}

var (
	portLookup = regexp.MustCompile(`lookup (?:tcp|udp)/|address \S+: invalid port`)
	urls       = regexp.MustCompile(`[a-z][a-z0-9+.-]*://[^\s"'\\<>)\]]+`)
	hosts      = []*regexp.Regexp{
		regexp.MustCompile(`.*lookup ([A-Za-z0-9][\w.-]*)`), // the last: gRPC writes "A record lookup error: lookup cart"
		regexp.MustCompile(`(?:ENOTFOUND|EAI_AGAIN|UnknownHostException:|could not resolve host:?|Could not resolve host:?|[Ff]ailed to resolve:?|getaddrinfo for) '?"?([A-Za-z0-9][\w.-]*)`),
		regexp.MustCompile(`could not translate host name "([^"]+)"`),
		regexp.MustCompile(`host "([A-Za-z0-9][\w.-]*)"`),
		regexp.MustCompile(`host not found in upstream "([A-Za-z0-9][\w.-]*)`),
	}
	dials = []*regexp.Regexp{
		regexp.MustCompile(`(?:dial tcp|connect|ECONNREFUSED|ETIMEDOUT|EHOSTUNREACH|connecting to|connect to|connection to)[: ]+(?:to )?"?'?(?:tcp )?\[?([A-Za-z0-9][\w.:-]*?)\]?:(\d{1,5})\b`),
		regexp.MustCompile(`\b((?:\d{1,3}\.){3}\d{1,3}):(\d{1,5})\b`),
		regexp.MustCompile(`\b([a-z][a-z0-9-]*(?:\.[a-z0-9-]+)*):(\d{2,5})\b`),
	}
	// bare are hosts that stand there without a port, or with one of the dials.
	bare = regexp.MustCompile(`(?:server on|server host|bad address) '([A-Za-z0-9][\w.-]*)`)
	// incoming is how servers name the client of a connection that failed, which is nothing that they called.
	incoming = regexp.MustCompile(`handshake (?:error|failed|failure) (?:from|with) |\bhandshak\w+, client: `)
	postgres = regexp.MustCompile(`server at "([^"]+)".*port (\d{1,5})`)
)

// EndpointOf finds what a line says a call went to: the name in a URL rather than the address that it was resolved to.
func EndpointOf(text string) (Endpoint, bool) {
	if incoming.MatchString(text) {
		return Endpoint{}, false
	}
	var named Endpoint
	for _, raw := range urls.FindAllString(text, 4) {
		if u, err := url.Parse(raw); err == nil && u.Hostname() != "" {
			named = Endpoint{u.Hostname(), portOf(u)}
			break
		}
	}
	if named.Host != "" {
		return named, true
	}
	for _, p := range hosts {
		if m := p.FindStringSubmatch(text); m != nil && (m[1] != "address" || !strings.Contains(text, "lookup address information")) {
			return Endpoint{Host: m[1]}, true // Rust's words name no host
		}
	}
	if m := postgres.FindStringSubmatch(text); m != nil {
		port, _ := strconv.Atoi(m[2])
		return Endpoint{m[1], port}, true
	}
	for _, p := range dials {
		if m := p.FindStringSubmatch(text); m != nil {
			if port, err := strconv.Atoi(m[2]); err == nil && port > 0 && port < 65536 {
				return Endpoint{m[1], port}, true
			}
		}
	}
	if m := bare.FindStringSubmatch(text); m != nil {
		return Endpoint{Host: m[1]}, true
	}
	return Endpoint{}, false
}

func portOf(u *url.URL) int {
	if port, err := strconv.Atoi(u.Port()); err == nil {
		return port
	}
	switch u.Scheme {
	case "http", "ws":
		return 80
	case "https", "wss":
		return 443
	}
	return 0
}
