package mask

import (
	"path"
	"regexp"
	"strings"
)

// options are the short options of a client that take a secret, or user:secret.
type options struct{ secret, login string }

var clients = map[string]options{
	"redis-cli": {secret: "a"}, "valkey-cli": {secret: "a"}, "keydb-cli": {secret: "a"},
	"mysql": {secret: "p"}, "mysqladmin": {secret: "p"}, "mysqldump": {secret: "p"}, "mysqlshow": {secret: "p"},
	"mariadb": {secret: "p"}, "mariadb-admin": {secret: "p"}, "mariadb-dump": {secret: "p"},
	"mongo": {secret: "p"}, "mongosh": {secret: "p"}, "mongodump": {secret: "p"}, "mongostat": {secret: "p"},
	"cqlsh": {secret: "p"}, "rabbitmqadmin": {secret: "p"}, "sshpass": {secret: "p"}, "sqlcmd": {secret: "P"},
	"mosquitto_pub": {secret: "P"}, "mosquitto_sub": {secret: "P"}, "mosquitto_rr": {secret: "P"}, //nolint:misspell // so they are called
	"ldapsearch": {secret: "w"}, "ldapwhoami": {secret: "w"}, "ldapadd": {secret: "w"}, "ldapmodify": {secret: "w"},
	"curl": {login: "uU"}, "http": {login: "a"}, "https": {login: "a"},
}

var (
	// token is a word of a shell, in whole or in part in quotes, and quoted such a part.
	token  = regexp.MustCompile(`(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'])+|["']`)
	quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'[^']*'`)
	// command tells that a text may hold a command with a secret that is a word of its own.
	command = regexp.MustCompile(`(?i)(?:^|[\s"'])--?[\w.-]*(?:` + keyWords + `|pass|passin|passout|auth|user|key)["']?\s|` +
		`\b(?:(?:redis|valkey|keydb)-cli|mysql\w*|mariadb[\w-]*|mongo\w*|cqlsh|rabbitmqadmin|sshpass|sqlcmd|mosquitto_\w+|ldap\w+|curl|https?)["']?\s`) //nolint:misspell // as above
	// secretOption is the name of an option that takes a secret; one that ends in file or name takes none.
	secretOption = regexp.MustCompile(`(?i)(?:` + keyWords + `|pass|passin|passout|masterauth)$`)
	// keyOption takes a key, or the path to one.
	keyOption   = regexp.MustCompile(`(?i)[-_.]key$`)
	loginOption = regexp.MustCompile(`^(?:user|proxy-user|auth)$`)
	// variable is a reference to a variable, which shows no secret.
	variable = regexp.MustCompile(`^\$[({]?[A-Z_][A-Z0-9_]*[)}]?$`)
)

// taken is what an option takes.
type taken int

const (
	nothing taken = iota
	aSecret
	aKey
	aLogin
)

// Words returns the words of a command with what looks like a secret replaced by Hidden: in each word what Text finds, and
// the words that are a secret by the option before them.
func Words(words []string) []string {
	out := make([]string, len(words))
	var r reader
	for i, w := range words {
		if out[i] = r.next(w); out[i] == w {
			out[i] = Text(w)
		}
	}
	return out
}

// script masks the commands in a text as Words does.
func script(text string) string {
	var r reader
	return token.ReplaceAllStringFunc(text, func(w string) string {
		if masked := r.next(w); masked != w || !strings.ContainsAny(w, " \t\r\n") {
			return masked
		}
		return quoted.ReplaceAllStringFunc(w, func(q string) string {
			return q[:1] + script(q[1:len(q)-1]) + q[len(q)-1:]
		})
	})
}

// reader knows what was read of a command.
type reader struct {
	client options
	// takes is what the last option takes as the next word.
	takes taken
}

// next returns the next word, with its secret hidden if it has one.
func (r *reader) next(word string) string {
	bare := strings.Trim(word, `"'`)
	takes := r.takes
	r.takes = nothing
	short := len(bare) > 1 && bare[0] == '-' && bare[1] != '-'
	switch {
	case takes != nothing && !strings.HasPrefix(bare, "--") && !(short && len(bare) == 2):
		return conceal(takes, word)
	case strings.Trim(bare, "|&;") == "":
		r.client = options{}
		return word
	case !strings.HasPrefix(bare, "-"):
		if c, ok := clients[path.Base(strings.Trim(bare, "$();`"))]; ok {
			r.client = c
		}
		return word
	}
	name, value, attached := strings.Cut(bare, "=")
	takes = r.option(name)
	switch {
	case takes == nothing && short && len(bare) > 2 && r.short(bare[1]) != nothing:
		return bare[:2] + conceal(r.short(bare[1]), bare[2:])
	case takes != nothing && attached:
		return name + "=" + conceal(takes, value)
	}
	r.takes = takes
	return word
}

// option says what an option takes.
func (r *reader) option(name string) taken {
	if len(name) == 2 {
		return r.short(name[1])
	}
	switch name = strings.TrimLeft(name, "-"); {
	case secretOption.MatchString(name):
		return aSecret
	case keyOption.MatchString(name):
		return aKey
	case loginOption.MatchString(name):
		return aLogin
	}
	return nothing
}

func (r *reader) short(letter byte) taken {
	switch {
	case strings.IndexByte(r.client.secret, letter) >= 0:
		return aSecret
	case strings.IndexByte(r.client.login, letter) >= 0:
		return aLogin
	}
	return nothing
}

// conceal hides the secret of a word that an option takes.
func conceal(what taken, word string) string {
	bare := strings.Trim(word, `"'`)
	user, secret, both := strings.Cut(bare, ":")
	switch {
	case bare == "" || bare == Hidden || variable.MatchString(bare): // the quotes of what is hidden already stay
		return word
	case what == aKey && strings.ContainsAny(bare[:1], "/.~"):
		return word
	case what == aLogin && (!both || secret == "" || variable.MatchString(secret)):
		return word
	case what == aLogin:
		return user + ":" + Hidden
	}
	return Hidden
}
