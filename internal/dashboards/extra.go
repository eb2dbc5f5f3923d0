package dashboards

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	built "github.com/kubebot/kubebot/internal/component/grafana/dashboards"
	"github.com/kubebot/kubebot/internal/dashboards/config"
	"github.com/kubebot/kubebot/internal/naming"
)

// maxExtra is as much as a ConfigMap holds.
const maxExtra = 1 << 20

// maxUID is Grafana's limit.
const maxUID = 40

// extras reads the user's dashboards. One that can't be used is named in problems and left out.
func extras(dir string, c config.Config) (wanted []built.Dashboard, problems []string) {
	for _, e := range c.Extra {
		d, err := extra(dir, c, e)
		if err != nil {
			problems = append(problems, fmt.Sprintf("dashboard %s of ConfigMap %s, key %s: %v", e.Name, e.ConfigMap.Name, e.ConfigMap.Key, err))
			continue
		}
		wanted = append(wanted, d)
	}
	return wanted, problems
}

func extra(dir string, c config.Config, e config.Extra) (built.Dashboard, error) {
	file, err := os.Open(filepath.Join(dir, e.Name+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return built.Dashboard{}, errors.New("there is no such ConfigMap or key; it is picked up within about a minute after it was made")
	}
	if err != nil {
		return built.Dashboard{}, errors.New("the file can't be read")
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxExtra+1))
	if err != nil || len(data) > maxExtra {
		return built.Dashboard{}, errors.New("it is longer than 1 MiB or can't be read")
	}
	model, err := parseExtra(data, c.Options())
	if err != nil {
		return built.Dashboard{}, err
	}
	uid := naming.Bounded(c.Options().UID("x-"+e.Name), maxUID)
	model["uid"] = uid
	return built.Dashboard{Name: e.Name, UID: uid, Model: model}, nil
}

// input is what a dashboard that was exported for others leaves open.
type input struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	PluginID string `json:"pluginId"`
}

// parseExtra reads a dashboard as Grafana exports it: its JSON model. Data sources that an export for others leaves open
// become KubeBot's of the same kind.
func parseExtra(data []byte, o built.Options) (map[string]any, error) {
	var head struct {
		Title  string  `json:"title"`
		Kind   string  `json:"kind"`
		Inputs []input `json:"__inputs"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, describe(err, data)
	}
	if head.Kind != "" && head.Title == "" {
		return nil, errors.New("this is a Kubernetes-style resource: export the dashboard as its classic JSON model")
	}
	if head.Title == "" {
		return nil, errors.New("it has no title, so it is no dashboard: give the JSON model as Grafana exports it")
	}
	text := string(data)
	for _, in := range head.Inputs {
		if in.Type != "datasource" {
			continue
		}
		if !slices.Contains(o.Stores, built.Store(in.PluginID)) {
			return nil, fmt.Errorf("it asks for a data source of type %q, which KubeBot has not", in.PluginID)
		}
		text = strings.ReplaceAll(text, "${"+in.Name+"}", o.UID(in.PluginID))
	}
	var model map[string]any
	if err := json.Unmarshal([]byte(text), &model); err != nil {
		return nil, describe(err, data)
	}
	for _, field := range append([]string{"__inputs", "__requires", "__elements", "gnetId"}, ignored...) {
		delete(model, field)
	}
	tags, _ := model["tags"].([]any)
	if !slices.Contains(tags, any(built.Tag)) {
		model["tags"] = append(slices.Clone(tags), built.Tag)
	}
	return model, nil
}

// describe says where the JSON is wrong, by its line.
func describe(err error, data []byte) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		line := 1 + strings.Count(string(data[:min(int(syntax.Offset), len(data))]), "\n")
		return fmt.Errorf("line %d is no JSON: %s", line, syntax.Error())
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return fmt.Errorf("it is no dashboard: %s can't be a %s", strings.TrimSpace("the field "+kind.Field), kind.Value)
	}
	return errors.New("it is no JSON")
}
