-- Makes of a container's line, with what the kubernetes filter found, an OpenTelemetry log record, in two steps. shape is
-- the last filter; what it finds stays beside the line, so that joined lines keep what their first one says. lift runs
-- when the lines are sent and joined: it puts what was found where the output looks for it.

local MAX_FIELDS = 32      -- fields of a JSON line that become attributes; the rest stays in the body
local MAX_NAME = 64        -- bytes of such a field's name
local MAX_VALUE = 256      -- bytes of such a field's value

local POD_LABELS = {
  "app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component", "app.kubernetes.io/part-of",
}

-- Severity numbers: https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber
local SEVERITY = {
  trace = 1, finest = 1, debug = 5, fine = 5, verbose = 5, info = 9, information = 9, informational = 9, notice = 10,
  warn = 13, warning = 13, error = 17, err = 17, severe = 17, dpanic = 18, critical = 18, crit = 18, alert = 19,
  panic = 21, fatal = 21, emergency = 21, emerg = 21,
}
local KLOG = { I = "info", W = "warn", E = "error", F = "fatal" }

local LEVEL_FIELDS = { "level", "severity", "severity_text", "SeverityText", "lvl", "levelname", "loglevel", "log.level" }
local TRACE_FIELDS = { "trace_id", "traceId", "traceID", "TraceId", "traceid", "otelTraceID", "dd.trace_id", "trace.id" }
local SPAN_FIELDS = { "span_id", "spanId", "spanID", "SpanId", "spanid", "otelSpanID", "dd.span_id", "span.id" }
local CARRIED = {}
for _, list in ipairs({ LEVEL_FIELDS, TRACE_FIELDS, SPAN_FIELDS, { "traceparent", "trace_flags" } }) do
  for _, field in ipairs(list) do CARRIED[field] = true end
end

local function first(fields, names)
  for _, name in ipairs(names) do
    if fields[name] ~= nil then return fields[name] end
  end
end

-- An identifier as lower-case hexadecimal digits, or nil when it has another length or is all zeros.
local function hex(value, length)
  if type(value) ~= "string" then return nil end
  value = value:lower():gsub("-", "")
  if #value ~= length or value:find("[^0-9a-f]") or not value:find("[^0]") then return nil end
  return value
end

local function number_of(level)
  if type(level) == "number" then
    -- pino and bunyan count 10 trace, 20 debug, 30 info, 40 warn, 50 error, 60 fatal
    if level >= 10 and level <= 60 and level % 10 == 0 then return ({ 1, 5, 9, 13, 17, 21 })[level / 10] end
    return nil
  end
  if type(level) == "string" then return SEVERITY[level:lower()] end
end

-- The word for the severity in a line that is no JSON.
local function level_in(line)
  local word = line:match("level=\"?(%a+)") or line:match("lvl=\"?(%a+)") or line:match("severity=\"?(%a+)")
  if word and SEVERITY[word:lower()] then return word end
  local klog = line:match("^([IWEF])%d%d%d%d ")
  if klog then return KLOG[klog] end
  for candidate in line:sub(1, 80):gmatch("%f[%w]%u+%f[%W]") do
    if SEVERITY[candidate:lower()] and #candidate > 2 then return candidate end
  end
  if line:find("^panic: ") or line:find("^fatal error: ") then return "panic" end
  if line:find("^Traceback %(most recent call last%)") or line:find("^Exception in thread ") then return "error" end
end

local function severity(otlp, fields, line)
  local level = first(fields, LEVEL_FIELDS)
  if level == nil then level = level_in(line) end
  local n = number_of(level)
  if n then
    otlp.severity_number = n
    otlp.severity_text = tostring(level)
  end
end

local function context(otlp, fields, line)
  local trace, span, flags
  local parent = fields.traceparent
  if type(parent) ~= "string" then parent = line:match("traceparent=\"?(%x%x%-%x+%-%x+%-%x%x)") end
  if parent then
    trace, span, flags = parent:match("^%x%x%-(%x+)%-(%x+)%-(%x%x)$")
    flags = flags and tonumber(flags, 16)
  end
  trace = hex(first(fields, TRACE_FIELDS), 32) or hex(line:match("trace_?[iI][dD]=\"?(%x+)"), 32) or hex(trace, 32)
  span = hex(first(fields, SPAN_FIELDS), 16) or hex(line:match("span_?[iI][dD]=\"?(%x+)"), 16) or hex(span, 16)
  if flags == nil and fields.trace_flags ~= nil then flags = tonumber(tostring(fields.trace_flags), 16) end
  if trace then
    otlp.trace_id = trace
    if span then otlp.span_id = span end
    if flags and flags >= 0 and flags < 256 then otlp.trace_flags = flags end
  end
end

local function workload(attributes, kube, labels)
  local owner = kube.ownerReferences
  if type(owner) == "table" and owner[1] then owner = owner[1] end
  if type(owner) ~= "table" or type(owner.kind) ~= "string" or type(owner.name) ~= "string" then return nil end
  local kind, name = owner.kind, owner.name
  if kind == "ReplicaSet" then
    attributes["k8s.replicaset.name"] = name
    local hash = labels["pod-template-hash"]
    if hash and name:sub(-#hash - 1) == "-" .. hash then
      name = name:sub(1, -#hash - 2)
      attributes["k8s.deployment.name"] = name
    end
  elseif kind == "StatefulSet" or kind == "DaemonSet" then
    attributes["k8s." .. kind:lower() .. ".name"] = name
  elseif kind == "Job" then
    attributes["k8s.job.name"] = name
    -- A CronJob names its Jobs by the minute of their schedule. The collector takes any number for one.
    local cron = name:match("^(.*)%-%d+$")
    if cron then
      attributes["k8s.cronjob.name"] = cron
      name = cron
    end
  else
    return nil
  end
  return name
end

-- The order for service.name: https://opentelemetry.io/docs/specs/semconv/non-normative/k8s-attributes/. The collector, which
-- has the same one, names what is left: a pod without these, and one of which the API server told nothing.
local function resource(attributes, kube)
  local labels, annotations = kube.labels or {}, kube.annotations or {}
  attributes["k8s.namespace.name"] = kube.namespace_name
  attributes["k8s.pod.name"] = kube.pod_name
  attributes["k8s.pod.uid"] = kube.pod_id or kube.docker_id
  attributes["k8s.container.name"] = kube.container_name
  local owner = workload(attributes, kube, labels)
  attributes["service.name"] = annotations["resource.opentelemetry.io/service.name"] or labels["app.kubernetes.io/instance"]
    or labels["app.kubernetes.io/name"] or owner
  attributes["service.version"] = annotations["resource.opentelemetry.io/service.version"] or labels["app.kubernetes.io/version"]
  for _, key in ipairs(POD_LABELS) do
    attributes["k8s.pod.label." .. key] = labels[key]
  end
end

local function merge(attributes, fields)
  local names = {}
  for name, value in pairs(fields) do
    local kind = type(value)
    if type(name) == "string" and #name <= MAX_NAME and not CARRIED[name] and attributes[name] == nil
      and (kind == "number" or kind == "boolean" or (kind == "string" and #value <= MAX_VALUE)) then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  for i = 1, math.min(#names, MAX_FIELDS) do
    attributes[names[i]] = fields[names[i]]
  end
end

-- Where the API server did not answer, the tag still tells whose line it is.
local function named_by(tag)
  local namespace, pod, uid, container = tag:match("^kube%.([^_]+)_([^_]+)_([^_]+)_([^_]+)$")
  return { namespace_name = namespace, pod_name = pod, pod_id = uid, container_name = container }
end

local function left_out(kube)
  local mark = (kube.labels or {})["kubebot.io/logs"] or (kube.annotations or {})["kubebot.io/logs"]
  return mark == "disabled" or mark == "false"
end

function shape(tag, timestamp, record)
  local kube = record.kubernetes
  if type(kube) ~= "table" or not kube.pod_name then kube = named_by(tag) end
  if left_out(kube) then return -1, timestamp, record end
  local line = record.log
  if type(line) ~= "string" then line = "" end
  local fields = type(record.json) == "table" and record.json or {}
  local otlp = { attributes = {} }
  severity(otlp, fields, line)
  context(otlp, fields, line)
  resource(otlp.attributes, kube)
  otlp.attributes["log.iostream"] = record.stream
  merge(otlp.attributes, fields)
  return 2, timestamp, { log = line, otlp = otlp }
end

function lift(tag, timestamp, group, metadata, record)
  return 2, timestamp, { otlp = record.otlp }, { log = record.log }
end
