package fluentbit

const traceParser = "kubebot-trace"

type multilineParser struct {
	Name         string `yaml:"name"`
	Type         string `yaml:"type"`
	KeyContent   string `yaml:"key_content"`
	FlushTimeout int    `yaml:"flush_timeout"`
	Rules        []rule `yaml:"rules"`
}

// rule continues an entry that is in a state with the lines that match, and brings it into the next state. An entry
// begins with a line that matches a rule of the state start_state.
type rule struct {
	State string `yaml:"state"`
	Regex string `yaml:"regex"`
	Next  string `yaml:"next_state"`
}

// traces joins the lines of stack traces of Go, of Java, .NET and JavaScript, and of Python. The program's own parser for
// Python sends a trace's last line a second time, and several parsers side by side don't keep the order of lines.
func traces() multilineParser {
	const start, goHead, goFrame, java, python, raised, chained = "start_state", "go", "go_frame", "java", "python", "python_raised", "python_chained"
	return multilineParser{
		Name: traceParser, Type: "regex", KeyContent: "log", FlushTimeout: 1000,
		Rules: []rule{
			{start, `/^panic: |^fatal error: |http: panic serving /`, goHead},
			{start, `/^Traceback \(most recent call last\):$/`, python},
			{start, `/(?:Exception|Error|Throwable)(?::|$)/`, java},

			{goHead, `/^$|^\s*panic: |^\[signal |^\[recovered/`, goHead},
			{goHead, `/^goroutine \d+ \[/`, goFrame},
			{goFrame, `/^$/`, goHead},
			{goFrame, `/^\s|^created by |^\.\.\.|^(?:[^\s.:]+\.)*[^\s.():]+\(/`, goFrame},

			{java, `/^\s+(?:eval )?at |^\s*(?:Caused by|Suppressed): |^\s*\.\.\. \d+ (?:more|common frames omitted)|^\s+--- End of /`, java},

			{python, `/^\s+\S/`, python},
			{python, `/^[A-Za-z_][\w.]*(?::.*)?$/`, raised},
			{raised, `/^$/`, raised},
			{raised, `/^(?:During handling of the above|The above exception was)/`, chained},
			{chained, `/^$/`, chained},
			{chained, `/^Traceback /`, python},
		},
	}
}
