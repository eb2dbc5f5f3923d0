package v1alpha1

// Condition types of a KubeBot. A component's condition is true only if the component answers.
const (
	// ConditionReady sums up: true when every component that is not switched off is ready, and every signal flows.
	ConditionReady = "Ready"
	// ConditionReconciling is there, and true, only while a change is on its way (kstatus).
	ConditionReconciling = "Reconciling"
	// ConditionStalled is there, and true, only while a person must act (kstatus).
	ConditionStalled = "Stalled"
	// ConditionPrometheusReady: Prometheus answers, and its own targets of the stack are up.
	ConditionPrometheusReady = "PrometheusReady"
	// ConditionAlertmanagerReady: Alertmanager answers and knows the responder as receiver.
	ConditionAlertmanagerReady = "AlertmanagerReady"
	// ConditionExportersReady: the exporters run and Prometheus scrapes them.
	ConditionExportersReady = "ExportersReady"
	// ConditionRulesReady: Prometheus has loaded the default rules and evaluates them without error.
	ConditionRulesReady = "RulesReady"
	// ConditionResponderReady: the responder answers and got the watchdog alert through the whole path.
	ConditionResponderReady = "ResponderReady"
	// ConditionReceiversReady: every receiver has its credentials and the last attempt to reach it was not refused.
	ConditionReceiversReady = "ReceiversReady"
	// ConditionCollectorReady: both tiers of the collector run, and what they export is taken.
	ConditionCollectorReady = "CollectorReady"
	// ConditionLokiReady: Loki answers and is ready to take and to find logs.
	ConditionLokiReady = "LokiReady"
	// ConditionJaegerReady: Jaeger answers queries.
	ConditionJaegerReady = "JaegerReady"
	// ConditionFluentBitReady: Fluent Bit runs on every node and its output is taken.
	ConditionFluentBitReady = "FluentBitReady"
	// ConditionGrafanaReady: Grafana answers and has KubeBot's data sources and dashboards.
	ConditionGrafanaReady = "GrafanaReady"
	// ConditionArchiveReady: the archive's writer runs and takes what it is sent.
	ConditionArchiveReady = "ArchiveReady"
	// ConditionTrainingReady: the analysis is refitted on schedule, and the weights that the spec asks for can be used.
	ConditionTrainingReady = "TrainingReady"
	// ConditionMetricsFlowing: a metric that KubeBot sent by OTLP was found in Prometheus.
	ConditionMetricsFlowing = "MetricsFlowing"
	// ConditionLogsFlowing: a log line that KubeBot wrote was found in Loki.
	ConditionLogsFlowing = "LogsFlowing"
	// ConditionTracesFlowing: a trace that KubeBot sent was found in Jaeger.
	ConditionTracesFlowing = "TracesFlowing"
	// ConditionEventsFlowing: an event that KubeBot made was found in Loki.
	ConditionEventsFlowing = "EventsFlowing"
	// ConditionAlertsFlowing: the watchdog alert comes from Prometheus through Alertmanager to the responder.
	ConditionAlertsFlowing = "AlertsFlowing"
	// ConditionHeartbeatConfigured: an outside service is told each minute that alerts flow, and takes it. It does not
	// affect Ready.
	ConditionHeartbeatConfigured = "HeartbeatConfigured"
	// ConditionUserRulesRefused is there, and true, while the Prometheus Operator refuses PrometheusRules of users, which it
	// then leaves out; it does not affect Ready.
	ConditionUserRulesRefused = "UserRulesRefused"
	// ConditionStorageEphemeral is true while a component keeps its data in an emptyDir; it does not affect Ready.
	ConditionStorageEphemeral = "StorageEphemeral"
	// ConditionVolumeSmallerThanSpec is there, and true, while the volume of a component is smaller than its storage.size; it
	// does not affect Ready.
	ConditionVolumeSmallerThanSpec = "VolumeSmallerThanSpec"
)

// Condition reasons of a KubeBot.
const (
	// ReasonReady: what the condition tells of is well.
	ReasonReady = "Ready"
	// ReasonDisabled: the component is switched off in the spec.
	ReasonDisabled = "Disabled"
	// ReasonSuspended: spec.suspend is set; nothing is changed.
	ReasonSuspended = "Suspended"
	// ReasonProgressing: objects are applied and pods are starting.
	ReasonProgressing = "Progressing"
	// ReasonNotAnswering: the component runs and does not answer, or answers with an error.
	ReasonNotAnswering = "NotAnswering"
	// ReasonTargetsDown: Prometheus answers and targets of the stack are down.
	ReasonTargetsDown = "TargetsDown"
	// ReasonRulesNotLoaded: Prometheus has not loaded the default rules, or can't evaluate some.
	ReasonRulesNotLoaded = "RulesNotLoaded"
	// ReasonWatchdogMissing: the watchdog alert has not reached the responder for 5 minutes.
	ReasonWatchdogMissing = "WatchdogMissing"
	// ReasonReceiverUnknown: Alertmanager does not know the responder as receiver.
	ReasonReceiverUnknown = "ReceiverUnknown"
	// ReasonSecretMissing: a Secret or a key in it that the spec names does not exist.
	ReasonSecretMissing = "SecretMissing"
	// ReasonSecretForbidden: the team has not let the responder read the Secret that an AlertRoute names.
	ReasonSecretForbidden = "SecretForbidden"
	// ReasonTooManyRoutes: the namespace has older AlertRoutes, as many as count.
	ReasonTooManyRoutes = "TooManyRoutes"
	// ReasonReceiverRefused: a receiver refused a message for good, for example for a revoked token.
	ReasonReceiverRefused = "ReceiverRefused"
	// ReasonHistoryUnavailable: Slack's history can't be read, so a lost answer may lead to a second copy.
	ReasonHistoryUnavailable = "HistoryUnavailable"
	// ReasonUndelivered: messages wait for a receiver that can't be reached.
	ReasonUndelivered = "Undelivered"
	// ReasonNoHeartbeat: no outside service notices when alerts stop to flow.
	ReasonNoHeartbeat = "NoHeartbeat"
	// ReasonNoReceivers: the spec names no receiver, so nothing is pushed.
	ReasonNoReceivers = "NoReceivers"
	// ReasonFlowing: the last proof of flow arrived in time.
	ReasonFlowing = "Flowing"
	// ReasonNoProof: what KubeBot sent through the path has not arrived at its end in time.
	ReasonNoProof = "NoProof"
	// ReasonRestarted: a process that ran and no longer did its work was restarted. It is a reason of events only.
	ReasonRestarted = "Restarted"
	// ReasonConfigRefused: the program itself refused configuration of the user's; what ran before goes on running.
	ReasonConfigRefused = "ConfigRefused"
	// ReasonConfigUntried: the program can't be asked whether it takes configuration of the user's; what ran before goes on
	// running.
	ReasonConfigUntried = "ConfigUntried"
	// ReasonCredentialsRefused: Grafana does not take the credentials, or they may not do what is needed.
	ReasonCredentialsRefused = "CredentialsRefused"
	// ReasonDashboardsRefused: Grafana refuses a data source, a folder or a dashboard.
	ReasonDashboardsRefused = "DashboardsRefused"
	// ReasonInvalidSpec: a field holds what can't be used; the message says which and what to do.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonApplyFailed: an object could not be applied; the message says which and why.
	ReasonApplyFailed = "ApplyFailed"
	// ReasonNameTaken: an object of the name that KubeBot needs belongs to somebody else; the message says which and to whom.
	ReasonNameTaken = "NameTaken"
	// ReasonPruneFailed: an object that is no longer wanted could not be removed.
	ReasonPruneFailed = "PruneFailed"
	// ReasonCRDsMissing: the Prometheus Operator's resources are not in the cluster.
	ReasonCRDsMissing = "PrometheusOperatorCRDsMissing"
	// ReasonOperatorNotActing: the Prometheus Operator has not acted on an applied object.
	ReasonOperatorNotActing = "PrometheusOperatorNotActing"
	// ReasonClusterScopeTaken: an older KubeBot is active in this cluster.
	ReasonClusterScopeTaken = "ClusterScopeTaken"
	// ReasonNamespaceNotServed: the chart was not told to serve the KubeBot's namespace.
	ReasonNamespaceNotServed = "NamespaceNotServed"
	// ReasonTrainingFailed: the last refit of the analysis did not come to an end; the weights in use stay.
	ReasonTrainingFailed = "TrainingFailed"
	// ReasonWeightsUnusable: the weights that shall be used are not kept or don't fit this version; the built-in ones are
	// used.
	ReasonWeightsUnusable = "WeightsUnusable"
	// ReasonEmptyDir: data are in an emptyDir and go with the pod.
	ReasonEmptyDir = "EmptyDir"
	// ReasonExpanding: the volume is being enlarged.
	ReasonExpanding = "Expanding"
	// ReasonNotExpandable: the API server refuses to enlarge the volume claim, mostly because of its storage class.
	ReasonNotExpandable = "NotExpandable"
)
