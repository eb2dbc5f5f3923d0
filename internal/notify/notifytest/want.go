package notifytest

import "github.com/kubebot/kubebot/internal/notify"

// Posting is what is right for a sink that posts a document over HTTP to a receiver that says by one of the accepted
// statuses that it took it, whatever its body is. With no status named every 2xx does; else another 2xx leaves it open.
func Posting(accepted ...int) func(s Situation, code int) notify.Outcome {
	return func(s Situation, code int) notify.Outcome {
		switch s {
		case Accepting:
			return notify.Delivered
		case Garbage, Empty, Huge, Truncated, Stalled: // they answer 200
			code = 200
		case Hanging, Reset:
			return notify.Unknown
		case Refusing, Unresolvable, Canceled:
			return notify.Retry
		case Untrusted:
			return notify.Refused
		}
		switch {
		case code < 300:
			if len(accepted) == 0 {
				return notify.Delivered
			}
			for _, a := range accepted {
				if a == code {
					return notify.Delivered
				}
			}
			return notify.Unknown
		case code == 408, code == 425, code == 429, code >= 500:
			return notify.Retry
		}
		return notify.Refused
	}
}
