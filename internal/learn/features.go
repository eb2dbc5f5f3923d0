package learn

import "strings"

// Fields of an incident that features are made of.
const (
	fieldKind = iota
	fieldTeam
	fieldSeverity
	fieldSubject
	fieldSource
	fieldHours
	fieldRepeat
	fieldLasts
	fieldSymptoms
	fieldCause
	fields
)

var fieldNames = [fields]string{"kind", "team", "severity", "subject", "source", "hours", "repeat", "lasts", "symptoms", "cause"}

// templates are the features: each is the values of some fields together, the constant 1 for none. A feature of a wide
// template is shared by many cells and of a narrow one by few, so that what one team says of one kind of alert also
// moves, by less, other kinds in the team and the kind in other teams (feature augmentation: H. Daumé III, Frustratingly
// Easy Domain Adaptation, ACL 2007).
var templates = [...][]int{
	{},
	{fieldKind},
	{fieldTeam},
	{fieldTeam, fieldKind},
	{fieldSeverity},
	{fieldTeam, fieldSeverity},
	{fieldSubject},
	{fieldSource},
	{fieldHours},
	{fieldTeam, fieldHours},
	{fieldKind, fieldHours},
	{fieldTeam, fieldKind, fieldHours},
	{fieldRepeat},
	{fieldTeam, fieldRepeat},
	{fieldKind, fieldRepeat},
	{fieldTeam, fieldKind, fieldRepeat},
	{fieldLasts},
	{fieldKind, fieldLasts},
	{fieldSymptoms},
	{fieldKind, fieldSymptoms},
	{fieldCause},
	{fieldKind, fieldCause},
}

// vector is the features of an incident; each has the value 1.
type vector [len(templates)]uint64

// values returns the fields of an incident, numbers in buckets.
func values(team, kind string, c Case) [fields]string {
	return [fields]string{
		fieldKind: kind, fieldTeam: team, fieldSeverity: c.Severity, fieldSubject: c.Subject, fieldSource: c.Source,
		fieldHours: hours(c.Hour), fieldRepeat: bucket(c.Recurrence, 0, 2), fieldLasts: bucket(int(c.Seconds), 300, 1800),
		fieldSymptoms: bucket(c.Symptoms, 1, 5), fieldCause: map[bool]string{true: "known", false: "unknown"}[c.Cause],
	}
}

// hours returns the part of the week: working hours, evening, night or weekend, in UTC.
func hours(hourOfWeek int) string {
	switch h := hourOfWeek % 24; {
	case hourOfWeek >= 5*24:
		return "weekend"
	case h < 7 || h >= 22:
		return "night"
	case h >= 18:
		return "evening"
	}
	return "working"
}

func bucket(n, few, some int) string {
	switch {
	case n <= few:
		return "few"
	case n <= some:
		return "some"
	}
	return "many"
}

// vectorOf returns the features as 64-bit hashes: with at most some thousand features in a state, that two share
// one has a chance of less than one in 10^11.
func vectorOf(v [fields]string) vector {
	var hashed [fields]uint64
	for i, value := range v {
		hashed[i] = fnv(fnvOffset, value)
	}
	var out vector
	for i, t := range templates {
		h := mix(fnvOffset, uint64(i)+1)
		for _, field := range t {
			h = mix(h, hashed[field])
		}
		out[i] = h
	}
	return out
}

const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

func fnv(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * fnvPrime
	}
	return h
}

// mix adds a hash to another, by a multiplication and a fold as in splitmix64.
func mix(h, v uint64) uint64 {
	h = (h ^ v) * 0xbf58476d1ce4e5b9
	return h ^ h>>31
}

// nameOf writes a feature for people, such as team=shop kind=PodCrashLooping.
func nameOf(template []int, v [fields]string) string {
	if len(template) == 0 {
		return "every incident"
	}
	parts := make([]string, 0, len(template))
	for _, field := range template {
		parts = append(parts, fieldNames[field]+"="+v[field])
	}
	return strings.Join(parts, " ")
}
