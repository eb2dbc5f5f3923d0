package logline

import (
	"strings"
	"testing"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

func lines(text string) []diagnosis.Line {
	var out []diagnosis.Line
	for _, l := range strings.Split(text, "\n") {
		out = append(out, diagnosis.Line{Text: l})
	}
	return out
}

func TestFindTakesTheLineThatTellsWhy(t *testing.T) {
	for _, c := range []struct{ why, log, want string }{
		{"Go panic before its dump", "starting\npanic: runtime error: index out of range [5]\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:7 +0x1d\nexit status 2", "panic: runtime error: index out of range [5]"},
		{"Java's last cause", "Exception in thread \"main\" java.lang.IllegalStateException: boot\n\tat a.B.c(B.java:1)\nCaused by: java.io.IOException: x\n\tat d\nCaused by: java.net.ConnectException: Connection refused\n\t... 3 more", "Caused by: java.net.ConnectException: Connection refused"},
		{"Python's last line", "Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    x()\nKeyError: 'DB_HOST'", "KeyError: 'DB_HOST'"},
		{"JSON with error field", `{"level":"info","msg":"hi"}` + "\n" + `{"level":"error","msg":"connect","err":"dial tcp 10.0.0.1:5432: connect: connection refused"}` + "\n" + `{"level":"info","msg":"bye"}`, "connect: dial tcp 10.0.0.1:5432: connect: connection refused"},
		{"logfmt", `level=info msg=start` + "\n" + `ts=1 level=error msg="open config" err="no such file"`, "open config: no such file"},
		{"fatal above error", "2026/01/02 10:00:00 ERROR: one\n2026/01/02 10:00:01 FATAL: two\n2026/01/02 10:00:02 ERROR: three", "FATAL: two"},
		{"plain", "booting\nkubebot: unknown flag: --x", "kubebot: unknown flag: --x"},
		{"nothing said", "booting\nlistening", "listening"},
		{"a class without a word of failure", "wget: bad address 'cart:8080'\nbye", "wget: bad address 'cart:8080'"},
		{"settings and certificates that were only read", "generating a self-signed certificate\nloading configuration from /etc/app.yaml\nbye", "bye"},
		{"a logger's line without a message", "cannot start\n2026-11-21T04:05:02.123Z ERROR 1 --- [  main] o.s.b.d.LoggingFailureAnalysisReporter   : ", "cannot start"},
		{"Spring Boot's description", "APPLICATION FAILED TO START\n***\n\nDescription:\n\nPort 8080 was already in use.\n\nAction:\n\nIdentify what failed, or use another port", "Port 8080 was already in use."},
		{"another description", "Description:\nan app\nunable to start", "unable to start"},
		{"Python's lower case", "INFO: connecting\nsocket.gaierror: [Errno -3] Try again\nERROR: giving up", "socket.gaierror: [Errno -3] Try again"},
		{"Rust", "thread 'main' panicked at src/main.rs:3:5:\nno database\nnote: run with `RUST_BACKTRACE=1`", "thread 'main' panicked at src/main.rs:3:5: no database"},
	} {
		t.Run(c.why, func(t *testing.T) {
			got, ok := Find(lines(c.log))
			if !ok || got.Message != c.want {
				t.Errorf("got %q (%t), want %q", got.Message, ok, c.want)
			}
		})
	}
	if _, ok := Find(lines("\n  \n")); ok {
		t.Error("an empty log has a decisive line")
	}
}

func TestNamesThatDifferInCaseGiveTheSameMessageEachTime(t *testing.T) {
	for range 50 {
		got, _ := Message(`{"level":"error","Msg":"call","msg":"","Error":"wrapped","error":"refused","ERROR":"shouted","err":{"x":1}}`)
		if want := "call: refused"; got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
}

func TestClassifyAndEndpoint(t *testing.T) {
	for _, c := range []struct {
		line     string
		class    Class
		endpoint string
	}{
		{`Get "http://cart:8080/items": dial tcp: lookup cart on 10.96.0.10:53: no such host`, ClassDNS, "cart:8080"},
		{`dial tcp: lookup db.shop.svc.cluster.local on 10.96.0.10:53: no such host`, ClassDNS, "db.shop.svc.cluster.local"},
		{`rpc error: code = Unavailable desc = dns: A record lookup error: lookup db on 10.96.0.10:53: i/o timeout`, ClassDNS, "db"},
		{`getaddrinfo ENOTFOUND redis`, ClassDNS, "redis"},
		{`wget: bad address 'cart:8080'`, ClassDNS, "cart:8080"},
		{`nc: bad address 'db'`, ClassDNS, "db"},
		{`write: Bad address`, ClassNone, ""},
		{`socket.gaierror: [Errno -3] Try again`, ClassDNS, ""},
		{`failed to lookup address information: Name does not resolve`, ClassDNS, ""},
		{`DNS lookup db.example.com failed: no such host`, ClassDNS, "db.example.com"},
		{`urllib3.exceptions.NameResolutionError: <urllib3.connection.HTTPConnection object at 0x7f>: Failed to resolve 'cart' ([Errno -2] Name does not resolve)`, ClassDNS, "cart"},
		{`php_network_getaddresses: getaddrinfo for db failed: Name does not resolve`, ClassDNS, "db"},
		{`nginx: [emerg] host not found in upstream "backend:8080" in /etc/nginx/conf.d/default.conf:33`, ClassDNS, "backend"},
		{`ERROR 2005 (HY000): Unknown MySQL server host 'db' (-2)`, ClassDNS, "db"},
		{`ERROR 2005 (HY000): Unknown server host 'db' (-2)`, ClassDNS, "db"},
		{`django.db.utils.OperationalError: (2002, "Can't connect to MySQL server on 'db' (115)")`, ClassRefused, "db"},
		{`ERROR 2003 (HY000): Can't connect to MySQL server on 'db:3306' (111)`, ClassRefused, "db:3306"},
		{`ERROR 2003 (HY000): Can't connect to MySQL server on 'db' (110)`, ClassTimeout, "db"},
		{`db:5432 - no response`, ClassTimeout, "db:5432"},
		{`dial tcp 10.96.3.4:5432: connect: connection refused`, ClassRefused, "10.96.3.4:5432"},
		{`Error: connect ECONNREFUSED 127.0.0.1:6379`, ClassRefused, "127.0.0.1:6379"},
		{`connection to server at "db" (10.1.2.3), port 5432 failed: Connection refused`, ClassRefused, "db:5432"},
		{`Post "https://pay:8443/x": dial tcp 10.0.0.9:8443: i/o timeout`, ClassTimeout, "pay:8443"},
		{`Get "https://api.example.com/": tls: failed to verify certificate: x509: certificate has expired or is not yet valid`, ClassCertificate, "api.example.com:443"},
		{`rpc error: code = Unavailable desc = connection error: desc = "transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-11-21T03:59:00Z is after 2026-11-20T00:00:00Z"`, ClassCertificate, ""},
		{`curl: (60) SSL certificate problem: certificate has expired`, ClassCertificate, ""},
		{`error:0A000086:SSL routines::certificate verify failed`, ClassCertificate, ""},
		{`SSL_do_handshake() failed (SSL: error:0A000415:SSL routines::ssl/tls alert certificate expired:SSL alert number 45) while SSL handshaking, client: 10.0.0.9, server: 0.0.0.0:443`, ClassCertificate, ""},
		{`Caused by: java.security.cert.CertificateExpiredException: NotAfter: Fri Nov 20 00:00:00 UTC 2026`, ClassCertificate, ""},
		{`javax.net.ssl.SSLHandshakeException: PKIX path validation failed: java.security.cert.CertPathValidatorException: validity check failed`, ClassCertificate, ""},
		{`{"level":"error","msg":"request to https://pay:8443/charge failed, reason: certificate has expired","code":"CERT_HAS_EXPIRED"}`, ClassCertificate, "pay:8443"},
		{`requests.exceptions.SSLError: HTTPSConnectionPool(host='pay', port=8443): [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1000)`, ClassCertificate, ""},
		{`error sending request: invalid peer certificate: Expired`, ClassCertificate, ""},
		{`The remote certificate is invalid because of errors in the certificate chain: NotTimeValid`, ClassCertificate, ""},
		{`http: TLS handshake error from 10.0.0.9:5123: remote error: tls: bad certificate`, ClassCertificate, ""},
		{`http: TLS handshake error from 10.0.0.9:5123: EOF`, ClassNone, ""},
		{`nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)`, ClassPrivilege, ""},
		{`listen tcp :443: bind: permission denied`, ClassPrivilege, ""},
		{`Error: listen EACCES: permission denied 0.0.0.0:80`, ClassPrivilege, ""},
		{`(13)Permission denied: AH00072: make_sock: could not bind to address [::]:80`, ClassPrivilege, ""},
		{`java.net.BindException: Permission denied (Bind failed)`, ClassPrivilege, ""},
		{`listen tcp :8080: bind: permission denied`, ClassPermission, ""},
		{`listen unix /run/app.sock: bind: permission denied`, ClassPermission, ""},
		{`nginx: [emerg] bind() to unix:/run/app.sock failed (13: Permission denied)`, ClassPermission, ""},
		{`Web server failed to start. Port 8080 was already in use.`, ClassPort, ""},
		{`Terminating due to java.lang.OutOfMemoryError: Java heap space`, ClassMemory, ""},
		{`numpy.core._exceptions._ArrayMemoryError: Unable to allocate 7.45 GiB`, ClassMemory, ""},
		{`Picked up JAVA_TOOL_OPTIONS: -XX:+ExitOnOutOfMemoryError`, ClassNone, ""},
		{`write /data/x: no space left on device`, ClassDisk, ""},
		{`open /etc/app/config.yaml: no such file or directory`, ClassFile, ""},
		{`environment variable DB_HOST is not set`, ClassConfig, ""},
		{`listen tcp: lookup tcp/99999: unknown port`, ClassConfig, ""},
		{`pods is forbidden: User "system:serviceaccount:shop:default" cannot list resource "pods"`, ClassForbidden, ""},
		{`served 200 in 3 ms`, ClassNone, ""},
	} {
		e, ok := EndpointOf(c.line)
		if got := Classify(c.line); got != c.class || (c.endpoint != "" && e.String() != c.endpoint) || (c.endpoint == "" && c.class == ClassNone && ok) {
			t.Errorf("%s\n got %q %q, want %q %q", c.line, got, e, c.class, c.endpoint)
		}
	}
}

func FuzzFind(f *testing.F) {
	f.Add("panic: x\n\n{\"level\":\"error\",\"msg\":\"a\",\"err\":{\"x\":\"y\"}}")
	f.Add("level=error msg=\"a\\\"b\" err=c\nthread 'a' panicked at b")
	f.Fuzz(func(t *testing.T, text string) {
		in := lines(text)
		d, ok := Find(in)
		if ok && (d.Index >= len(in) || len(d.Message) > 320) {
			t.Errorf("line %d of %d, message of %d bytes", d.Index, len(in), len(d.Message))
		}
		Classify(text)
		if e, ok := EndpointOf(text); ok && (e.Host == "" || e.Port < 0 || e.Port > 65535) {
			t.Errorf("endpoint %+v of %q", e, text)
		}
	})
}
