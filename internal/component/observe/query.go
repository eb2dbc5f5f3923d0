package observe

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/prometheus/common/model"

	"github.com/kubebot/kubebot/internal/component"
)

// Query returns the address of an instant query of Prometheus at base.
func Query(base, promQL string) string {
	return strings.TrimSuffix(base, "/") + "/api/v1/query?query=" + url.QueryEscape(promQL)
}

// Vector reads the answer to a Query whose result is a vector. The error goes on from the word Prometheus, such as
// "does not answer a query".
func Vector(a component.Answer) (model.Vector, error) {
	switch why := Unanswered(a); {
	case a.Status == 0:
		return nil, errors.New("does not answer a query")
	case why != "":
		return nil, errors.New(why + " to a query")
	case a.TooLarge:
		return nil, fmt.Errorf("answers a query with more than %d MiB", len(a.Body)>>20)
	}
	var body struct {
		Data struct {
			Result model.Vector `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(a.Body, &body); err != nil {
		return nil, errors.New("answers a query with something that is not its format")
	}
	return body.Data.Result, nil
}
