package v1alpha1

// AlertingSpec configures rules, receivers and routes.
// +kubebuilder:validation:XValidation:rule="!has(self.routes) || self.routes.all(r, r.receivers.all(n, has(self.receivers) && self.receivers.exists(x, x.name == n)))",message="every name in routes[].receivers must be the name of an entry of receivers"
// +kubebuilder:validation:XValidation:rule="!has(self.routes) || self.routes.all(r, !has(r.muteTimes) || r.muteTimes.all(n, has(self.muteTimes) && self.muteTimes.exists(x, x.name == n)))",message="every name in routes[].muteTimes must be the name of an entry of muteTimes"
// +kubebuilder:validation:XValidation:rule="!has(self.routes) || self.routes.all(r, !has(r.escalation) || r.escalation.receivers.all(n, has(self.receivers) && self.receivers.exists(x, x.name == n)))",message="every name in routes[].escalation.receivers must be the name of an entry of receivers"
type AlertingSpec struct {
	// DefaultRules are KubeBot's own rules.
	// +optional
	DefaultRules DefaultRulesSpec `json:"defaultRules,omitempty"`
	// Severities maps values of the label severity that are not critical, warning or info. An unmapped value is a
	// warning.
	// +optional
	// +listType=map
	// +listMapKey=value
	// +kubebuilder:validation:MaxItems=32
	Severities []SeverityMapping `json:"severities,omitempty"`
	// Receivers are where messages go.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Receivers []Receiver `json:"receivers,omitempty"`
	// Routes say which incident goes to which receivers; the first that matches is taken. A critical incident that no
	// route matches goes to every receiver; any other is not pushed.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Routes []Route `json:"routes,omitempty"`
	// MuteTimes are times in which a route that names them pushes nothing.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	MuteTimes []MuteTime `json:"muteTimes,omitempty"`
	// Digest bundles incidents in one message: those that can wait, and those of a storm.
	// +optional
	Digest DigestSpec `json:"digest,omitempty"`
	// PushAfter is how long an incident that is not critical must last before it is first pushed, from 0s, which pushes at
	// once, to 1h. What is over by then is recorded and never pushed. Critical ones never wait. Default 1m.
	// +optional
	PushAfter Duration `json:"pushAfter,omitempty"`
	// Flapping damps incidents that come back again and again.
	// +optional
	Flapping FlappingSpec `json:"flapping,omitempty"`
	// QuietStart tells of what was broken before this KubeBot began in one digest for each receiver, instead of one by one.
	// Default Enabled.
	// +optional
	QuietStart Switch `json:"quietStart,omitempty"`
	// Heartbeat tells an outside service each minute that alerts flow, so that it notices when they no longer do.
	// +optional
	Heartbeat *HeartbeatSpec `json:"heartbeat,omitempty"`
	// Responder sizes the process that turns alerts into incidents and messages.
	// +optional
	Responder ResponderSpec `json:"responder,omitempty"`
}

// DefaultRulesSpec configures KubeBot's own rules.
type DefaultRulesSpec struct {
	// Mode switches all of them; what the responder sees by itself it tells all the same. Default Enabled.
	// +optional
	// +kubebuilder:default=Enabled
	Mode Switch `json:"mode,omitempty"`
	// Disabled names alerts that are left out: the rule of that name, and what the responder sees by itself and tells under
	// it.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MaxLength=128
	Disabled []string `json:"disabled,omitempty"`
}

// SeverityMapping gives a foreign value of the label severity a meaning.
type SeverityMapping struct {
	// Value of the label, such as page.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Value string `json:"value"`
	// Severity that it means.
	Severity Severity `json:"severity"`
}

// Route sends matching incidents to receivers.
type Route struct {
	// Match says which incidents the route takes. All conditions must hold; an empty one holds.
	// +optional
	Match RouteMatch `json:"match,omitempty"`
	// Receivers that get the incident; an empty list pushes to nobody.
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=40
	Receivers []string `json:"receivers"`
	// MuteTimes name times in which the route pushes nothing.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=63
	MuteTimes []string `json:"muteTimes,omitempty"`
	// Escalation tells further receivers of a critical incident that nobody acknowledges.
	// +optional
	Escalation *Escalation `json:"escalation,omitempty"`
}

// Escalation tells further receivers of a critical incident that nobody acknowledges.
type Escalation struct {
	// Receivers that are told then.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=40
	Receivers []string `json:"receivers"`
	// After is how long after it was opened, from 1m to 1w. Default 15m.
	// +optional
	After Duration `json:"after,omitempty"`
}

// RouteMatch says which incidents a route takes.
type RouteMatch struct {
	// Namespaces of the subject, as exact names or with * for any characters.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[-a-z0-9*]+$`
	Namespaces []string `json:"namespaces,omitempty"`
	// Severities of the incident. Default: critical only.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=3
	Severities []Severity `json:"severities,omitempty"`
	// Labels that one alert of the incident must have, all of them.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	Labels map[string]string `json:"labels,omitempty"`
}

// MuteTime is a recurring time in which nothing is pushed.
// +kubebuilder:validation:XValidation:rule="has(self.start) == has(self.end)",message="start and end belong together: set both, or leave both out for the whole day"
type MuteTime struct {
	// Name of the mute time, unique in the list.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// Weekdays on which it holds; every day when left out.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=7
	Weekdays []Weekday `json:"weekdays,omitempty"`
	// Start of the time of day, such as 22:00. The whole day when start and end are left out.
	// +optional
	// +kubebuilder:validation:Pattern=`^([01][0-9]|2[0-3]):[0-5][0-9]$`
	Start string `json:"start,omitempty"`
	// End of the time of day, such as 06:00; not after start means the next day.
	// +optional
	// +kubebuilder:validation:Pattern=`^([01][0-9]|2[0-3]):[0-5][0-9]$`
	End string `json:"end,omitempty"`
	// TimeZone of IANA's data base, such as Europe/Berlin. Default UTC.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	TimeZone string `json:"timeZone,omitempty"`
}

// Weekday is a day of the week.
// +kubebuilder:validation:Enum=Monday;Tuesday;Wednesday;Thursday;Friday;Saturday;Sunday
type Weekday string

// DigestSpec bundles incidents in one message for each receiver.
type DigestSpec struct {
	// Interval at which is told what can wait, at whole multiples of it since 1970, from 1m to 1w. Default 1h.
	// +optional
	Interval Duration `json:"interval,omitempty"`
	// StormAbove is how many new incidents a receiver is told of one by one within a minute. Further ones, critical ones
	// too, are told together within 30 seconds. It holds for receivers that people read, not for webhooks. Default 20.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	StormAbove *int32 `json:"stormAbove,omitempty"`
}

// FlappingSpec says when an incident that comes back is kept open as one, without new pushes.
type FlappingSpec struct {
	// Times that it came back within the time Within. Default 3.
	// +optional
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=20
	Times *int32 `json:"times,omitempty"`
	// Within is the time in which it came back so often, at most 1w. Default 1h.
	// +optional
	Within Duration `json:"within,omitempty"`
	// Calm is how long nothing must fire until it is over, from 1m to 1d. Default 10m.
	// +optional
	Calm Duration `json:"calm,omitempty"`
}

// HeartbeatSpec is a URL of a service that raises an alarm when it is not called for some minutes, such as
// healthchecks.io or Dead Man's Snitch. It is called by GET each time the watchdog alert came through the whole path.
// +kubebuilder:validation:XValidation:rule="has(self.url) != has(self.urlSecret)",message="set exactly one of url and urlSecret"
type HeartbeatSpec struct {
	// URL to get. Use urlSecret when the URL holds a token, as most do.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && (url(self).getScheme() == 'http' || url(self).getScheme() == 'https')",message="url must be an http or https URL with a host, such as https://hc-ping.com/<id>"
	URL string `json:"url,omitempty"`
	// URLSecret holds the URL to get.
	// +optional
	URLSecret *SecretKeyRef `json:"urlSecret,omitempty"`
	// CASecret holds a PEM bundle of certificate authorities that are trusted besides the system's.
	// +optional
	CASecret *SecretKeyRef `json:"caSecret,omitempty"`
	// AllowTargets are places inside the machine and the cluster that the URL may lead to; else such a URL is refused.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=3
	AllowTargets []Target `json:"allowTargets,omitempty"`
}

// ResponderSpec sizes the responder.
type ResponderSpec struct {
	PodSettings `json:",inline"`
	// Replicas share the work. Default 2.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=5
	Replicas *int32 `json:"replicas,omitempty"`
}
