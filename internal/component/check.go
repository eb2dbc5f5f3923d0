package component

import (
	"fmt"
	"net/url"

	"github.com/prometheus/common/model"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// Duration parses a duration of the spec, or fallback when it is left out. Path is the field in the KubeBot. The error
// is an InvalidError: the units must go from large to small, and the whole must be above zero.
func Duration(path string, value v1alpha1.Duration, fallback string) (model.Duration, error) {
	if value == "" {
		value = v1alpha1.Duration(fallback)
	}
	d, err := model.ParseDuration(string(value))
	if err != nil || d <= 0 {
		return 0, &InvalidError{
			Field:   path,
			Message: fmt.Sprintf("%q is not a duration above zero with units from large to small: write it as %s or 1h30m", value, fallback),
		}
	}
	return d, nil
}

// CheckURL refuses a URL that holds a user name or password: everybody who reads the KubeBot could see them, and they
// would get into configuration and logs. Path is the field in the KubeBot, instead what to do. The error is an
// InvalidError and does not repeat the URL.
func CheckURL(path, address, instead string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return &InvalidError{Field: path, Message: "this is not a URL with a host: write it as https://host/path"}
	}
	if u.User != nil {
		return &InvalidError{Field: path, Message: "the URL holds a user name or password: take it out and " + instead}
	}
	return nil
}

// CheckSecret refuses a name that no Secret can have, and a key that no Secret's data can have. Path is the reference in
// the KubeBot. The error is an InvalidError.
func CheckSecret(path string, ref v1alpha1.SecretKeyRef) error {
	if len(validation.IsDNS1123Subdomain(ref.Name)) > 0 {
		return &InvalidError{Field: path + ".name", Message: fmt.Sprintf("%q can't be the name of a Secret: use lower-case letters, digits, - and .", ref.Name)}
	}
	if len(validation.IsConfigMapKey(ref.Key)) > 0 {
		return &InvalidError{Field: path + ".key",
			Message: fmt.Sprintf("%q can't be a key of a Secret: use letters, digits, -, _ and . (not .. at the beginning)", ref.Key)}
	}
	return nil
}
