package v1alpha1

// Receiver is where messages go.
// +kubebuilder:validation:XValidation:rule="[has(self.slack), has(self.webhook), has(self.teams), has(self.pagerDuty), has(self.email), has(self.opsGenie)].filter(x, x).size() == 1",message="a receiver needs exactly one of slack, webhook, teams, pagerDuty, email and opsGenie"
type Receiver struct {
	// Name of the receiver, unique in the list.
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`
	// Slack sends to a channel by a Slack app of the user.
	// +optional
	Slack *SlackReceiver `json:"slack,omitempty"`
	// Webhook sends a JSON document to a URL.
	// +optional
	Webhook *WebhookReceiver `json:"webhook,omitempty"`
	// Teams posts Adaptive Cards to a workflow of Microsoft Teams.
	// +optional
	Teams *TeamsReceiver `json:"teams,omitempty"`
	// PagerDuty sends events to a service of PagerDuty.
	// +optional
	PagerDuty *PagerDutyReceiver `json:"pagerDuty,omitempty"`
	// Email sends mail by SMTP.
	// +optional
	Email *EmailReceiver `json:"email,omitempty"`
	// OpsGenie makes alerts in Opsgenie, which Atlassian ends in April 2027.
	// +optional
	OpsGenie *OpsGenieReceiver `json:"opsGenie,omitempty"`
	// AllowTargets are places inside the machine and the cluster that the receiver's address may lead to. A receiver that
	// leads to another of them is refused when it is called.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=3
	AllowTargets []Target `json:"allowTargets,omitempty"`
}

// Target is a place inside the machine and the cluster to which no receiver may lead unless it is allowed.
// +kubebuilder:validation:Enum=Loopback;LinkLocal;ClusterAPI
type Target string

const (
	// TargetLoopback is the responder's own pod.
	TargetLoopback Target = "Loopback"
	// TargetLinkLocal are link-local addresses, among them those where clouds hand out a node's credentials.
	TargetLinkLocal Target = "LinkLocal"
	// TargetClusterAPI is the API server of the cluster that KubeBot runs in.
	TargetClusterAPI Target = "ClusterAPI"
)

// SlackReceiver is a channel of a Slack workspace.
type SlackReceiver struct {
	// Channel is a channel ID such as C0123456789 or a name such as #prod. A private channel needs its ID.
	// +kubebuilder:validation:Pattern=`^(#[^\s#@]{1,79}|[CGD][A-Z0-9]{6,20})$`
	// +kubebuilder:validation:MaxLength=80
	Channel string `json:"channel"`
	// TokenSecret holds the bot token (xoxb-...) of the app.
	TokenSecret SecretKeyRef `json:"tokenSecret"`
	// APIURL is the base of Slack's Web API, for GovSlack and proxies. Default https://slack.com/api/.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && (url(self).getScheme() == 'http' || url(self).getScheme() == 'https') && self.endsWith('/')",message="apiURL must be an http or https URL that ends in /, such as https://slack-gov.com/api/"
	APIURL string `json:"apiURL,omitempty"`
	// CASecret holds a PEM bundle of certificate authorities that are trusted besides the system's, for a proxy that ends TLS.
	// +optional
	CASecret *SecretKeyRef `json:"caSecret,omitempty"`
	// Interactions puts buttons into the messages, by which people acknowledge, silence and judge incidents.
	// +optional
	Interactions *SlackInteractions `json:"interactions,omitempty"`
}

// WebhookReceiver is a URL that takes a JSON document by POST.
// +kubebuilder:validation:XValidation:rule="has(self.url) != has(self.urlSecret)",message="set exactly one of url and urlSecret"
// +kubebuilder:validation:XValidation:rule="!has(self.contentType) || has(self.bodyTemplate)",message="contentType belongs to bodyTemplate: without one the body is application/json"
type WebhookReceiver struct {
	// URL to post to. Use urlSecret when the URL holds a token.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && (url(self).getScheme() == 'http' || url(self).getScheme() == 'https')",message="url must be an http or https URL with a host, such as https://hooks.example.com/kubebot"
	URL string `json:"url,omitempty"`
	// URLSecret holds the URL to post to.
	// +optional
	URLSecret *SecretKeyRef `json:"urlSecret,omitempty"`
	// SigningSecret holds the key of the HMAC-SHA256 signature. Without it messages are not signed.
	// +optional
	SigningSecret *SecretKeyRef `json:"signingSecret,omitempty"`
	// CASecret holds a PEM bundle of certificate authorities that are trusted besides the system's.
	// +optional
	CASecret *SecretKeyRef `json:"caSecret,omitempty"`
	// BodyTemplate is a Go text/template that writes the body instead of the JSON document, which is its dot:
	// docs/receivers.md lists the fields. The function json writes a value as JSON.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	BodyTemplate string `json:"bodyTemplate,omitempty"`
	// ContentType of the body. Default application/json.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[a-zA-Z0-9.+-]+/[a-zA-Z0-9.+-]+(; ?[a-zA-Z0-9-]+=[a-zA-Z0-9.+-]+)*$`
	ContentType string `json:"contentType,omitempty"`
}

// TeamsReceiver is a workflow of Microsoft Teams (Workflows, "When a Teams webhook request is received").
type TeamsReceiver struct {
	// URLSecret holds the URL of the workflow. Whoever has the URL can post.
	URLSecret SecretKeyRef `json:"urlSecret"`
	// CASecret holds a PEM bundle of certificate authorities that are trusted besides the system's.
	// +optional
	CASecret *SecretKeyRef `json:"caSecret,omitempty"`
}

// PagerDutyReceiver is an integration "Events API v2" of a service or an event orchestration of PagerDuty.
type PagerDutyReceiver struct {
	// RoutingKeySecret holds the integration key.
	RoutingKeySecret SecretKeyRef `json:"routingKeySecret"`
	// APIURL is the base of the Events API. Default https://events.pagerduty.com/.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && (url(self).getScheme() == 'http' || url(self).getScheme() == 'https') && self.endsWith('/')",message="apiURL must be an http or https URL that ends in /, such as https://events.eu.pagerduty.com/"
	APIURL string `json:"apiURL,omitempty"`
	// CASecret holds a PEM bundle of certificate authorities that are trusted besides the system's.
	// +optional
	CASecret *SecretKeyRef `json:"caSecret,omitempty"`
}

// EmailTLS says how a connection to a mail server is encrypted.
// +kubebuilder:validation:Enum=StartTLS;TLS;None
type EmailTLS string

const (
	// EmailStartTLS begins in clear text and sends nothing before STARTTLS has succeeded.
	EmailStartTLS EmailTLS = "StartTLS"
	// EmailImplicitTLS is encrypted from the first byte.
	EmailImplicitTLS EmailTLS = "TLS"
	// EmailNoTLS is never encrypted, for a relay inside the cluster.
	EmailNoTLS EmailTLS = "None"
)

// EmailReceiver sends mail by SMTP.
// +kubebuilder:validation:XValidation:rule="has(self.username) == has(self.passwordSecret)",message="username and passwordSecret belong together: set both, or leave both out"
// +kubebuilder:validation:XValidation:rule="!has(self.passwordSecret) || !has(self.tls) || self.tls != 'None'",message="a password is not sent without encryption: set tls to StartTLS or TLS, or leave username and passwordSecret out"
// +kubebuilder:validation:XValidation:rule="!has(self.caSecret) || !has(self.tls) || self.tls != 'None'",message="caSecret belongs to an encrypted connection: set tls to StartTLS or TLS, or leave it out"
type EmailReceiver struct {
	// Server is host and port of the mail server, such as smtp.example.com:587.
	// +kubebuilder:validation:MaxLength=259
	// +kubebuilder:validation:Pattern=`^([a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\]):[1-9][0-9]{0,4}$`
	Server string `json:"server"`
	// TLS says how the connection is encrypted. Default StartTLS, which is then required of the server.
	// +optional
	TLS EmailTLS `json:"tls,omitempty"`
	// From is the sender's address, such as kubebot@example.com.
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:Pattern=`^[a-zA-Z0-9.!#$%&'*+/=?^_{|}~-]+@[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?$`
	From string `json:"from"`
	// To are the addresses that get the mail.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=254
	// +kubebuilder:validation:items:Pattern=`^[a-zA-Z0-9.!#$%&'*+/=?^_{|}~-]+@[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?$`
	To []string `json:"to"`
	// Username to log in with, by SCRAM, PLAIN, LOGIN or CRAM-MD5, whichever of them the server knows.
	// +optional
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]+$`
	Username string `json:"username,omitempty"`
	// PasswordSecret holds the password.
	// +optional
	PasswordSecret *SecretKeyRef `json:"passwordSecret,omitempty"`
	// CASecret holds a PEM bundle of certificate authorities that are trusted besides the system's.
	// +optional
	CASecret *SecretKeyRef `json:"caSecret,omitempty"`
}

// OpsGenieReceiver is an API integration of Opsgenie or of Jira Service Management.
type OpsGenieReceiver struct {
	// APIKeySecret holds the key of the integration.
	APIKeySecret SecretKeyRef `json:"apiKeySecret"`
	// APIURL is the base of the API. Default https://api.opsgenie.com/.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && (url(self).getScheme() == 'http' || url(self).getScheme() == 'https') && self.endsWith('/')",message="apiURL must be an http or https URL that ends in /, such as https://api.eu.opsgenie.com/"
	APIURL string `json:"apiURL,omitempty"`
	// Responders are who is told; the integration's own when left out.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Responders []OpsGenieResponder `json:"responders,omitempty"`
	// CASecret holds a PEM bundle of certificate authorities that are trusted besides the system's.
	// +optional
	CASecret *SecretKeyRef `json:"caSecret,omitempty"`
}

// OpsGenieResponder is who is told of an alert.
type OpsGenieResponder struct {
	// Type of the responder.
	// +kubebuilder:validation:Enum=team;user;escalation;schedule
	Type string `json:"type"`
	// Name of the team, escalation or schedule, or the user's name.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=254
	Name string `json:"name"`
}
