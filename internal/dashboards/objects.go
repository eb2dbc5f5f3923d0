package dashboards

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	gapi "github.com/grafana/grafana-api-golang-client"

	built "github.com/kubebot/kubebot/internal/component/grafana/dashboards"
)

// headersField of a data source's settings repeats the headers that it sends: Grafana itself never shows their values,
// so without it a change could not be seen.
const headersField = "kubebotHeaders"

// searchLimit is the greatest that Grafana's search takes.
const searchLimit = "5000"

// sources brings the data sources and returns how many of KubeBot's are there as they should be.
func (p pass) sources() (int, error) {
	s := p.config.Stores
	wanted := built.Sources(p.options, built.Addresses{
		Prometheus: s.Prometheus, Alertmanager: s.Alertmanager, Loki: s.Loki, LokiTenant: s.LokiTenant, Jaeger: s.Jaeger,
	})
	list, err := p.client.DataSources()
	if err != nil {
		return 0, fmt.Errorf("list the data sources: %w", err)
	}
	have := map[string]*gapi.DataSource{}
	for _, d := range list {
		have[d.UID] = d
	}
	var failures []error
	for _, w := range wanted {
		if err := p.source(have[w.UID], p.dataSource(w)); err != nil {
			failures = append(failures, err)
		}
		delete(have, w.UID)
	}
	for uid, d := range have {
		if !strings.HasPrefix(uid, p.options.Prefix) {
			continue
		}
		if err := p.client.DeleteDataSourceByName(d.Name); err != nil && status(err) != http.StatusNotFound {
			failures = append(failures, fmt.Errorf("remove the data source %q: %w", d.Name, err))
			continue
		}
		p.wrote(kindSource, actionDelete, uid)
	}
	return len(wanted) - len(failures), errors.Join(failures...)
}

// dataSource writes a data source in the client's form.
func (p pass) dataSource(w built.Source) *gapi.DataSource {
	d := &gapi.DataSource{
		UID: w.UID, Name: w.Name, Type: w.Type, URL: w.URL, Access: "proxy", JSONData: maps.Clone(w.Settings),
		IsDefault: p.config.Own && w.Store == built.Prometheus,
	}
	if len(w.Headers) == 0 {
		return d
	}
	headers := map[string]any{}
	for name, value := range w.Headers {
		headers[name] = value
	}
	d.JSONData[headersField] = headers
	d.JSONData, d.SecureJSONData = gapi.JSONDataWithHeaders(d.JSONData, nil, w.Headers)
	return d
}

func (p pass) source(have, want *gapi.DataSource) error {
	if have == nil {
		_, err := p.client.NewDataSource(want)
		switch {
		case status(err) == http.StatusConflict:
			return fmt.Errorf("make the data source %q: another one has this name; rename it", want.Name)
		case err != nil:
			return fmt.Errorf("make the data source %q: %w", want.Name, err)
		}
		p.wrote(kindSource, actionCreate, want.UID)
		return nil
	}
	// A default that people chose stays theirs.
	want.IsDefault = have.IsDefault
	if have.Name == want.Name && have.Type == want.Type && have.URL == want.URL && have.Access == want.Access && holds(have.JSONData, plain(want.JSONData)) {
		return nil
	}
	want.ID, want.Version, want.JSONData = have.ID, have.Version, merged(have.JSONData, want.JSONData)
	if err := p.client.UpdateDataSourceByUID(want); err != nil {
		return fmt.Errorf("mend the data source %q: %w", want.Name, err)
	}
	p.wrote(kindSource, actionUpdate, want.UID)
	return nil
}

// dashboards brings the dashboards, and returns how many of KubeBot's are there as they should be.
func (p pass) dashboards(wanted []built.Dashboard) (int, error) {
	var failures []error
	names := map[string]bool{}
	for _, w := range wanted {
		names[w.UID] = true
		err := p.dashboard(w)
		if status(err) == http.StatusPreconditionFailed { // somebody saved it in between
			err = p.dashboard(w)
		}
		if err != nil {
			failures = append(failures, err)
		}
	}
	return len(wanted) - len(failures), errors.Join(append(failures, p.pruneDashboards(names))...)
}

func (p pass) dashboard(w built.Dashboard) error {
	have, err := p.client.DashboardByUID(w.UID)
	if err != nil && status(err) != http.StatusNotFound {
		return fmt.Errorf("read the dashboard %s: %w", w.Name, err)
	}
	action := actionCreate
	model := maps.Clone(w.Model)
	if err == nil {
		if p.settled(w, have) {
			return nil
		}
		action = actionUpdate
		model["id"], model["version"] = have.Model["id"], have.Model["version"]
	}
	if _, err := p.client.NewDashboard(gapi.Dashboard{Model: model, FolderUID: p.folderUID(), Message: "Brought by KubeBot"}); err != nil {
		return fmt.Errorf("save the dashboard %s: %w", w.Name, err)
	}
	p.wrote(kindDashboard, action, w.UID)
	if have, err = p.client.DashboardByUID(w.UID); err != nil {
		return fmt.Errorf("read the dashboard %s after it was saved: %w", w.Name, err)
	}
	p.syncer.remember(w, have)
	return nil
}

// settled tells whether a dashboard is as KubeBot wants it, or as Grafana made it of what KubeBot wrote.
func (p pass) settled(w built.Dashboard, have *gapi.Dashboard) bool {
	if have.Meta.FolderUID != p.folderUID() {
		return false
	}
	if was, ok := p.syncer.known[w.UID]; ok {
		return was == known{hash(w.Model), hash(without(have.Model))}
	}
	if !holds(have.Model, without(w.Model)) {
		return false
	}
	p.syncer.remember(w, have)
	return true
}

func (s *Syncer) remember(w built.Dashboard, have *gapi.Dashboard) {
	if s.known == nil {
		s.known = map[string]known{}
	}
	s.known[w.UID] = known{hash(w.Model), hash(without(have.Model))}
}

// pruneDashboards removes dashboards of KubeBot, by their tag and UID, that are no longer wanted.
func (p pass) pruneDashboards(wanted map[string]bool) error {
	found, err := p.client.FolderDashboardSearch(url.Values{"tag": {built.Tag}, "type": {"dash-db"}, "limit": {searchLimit}})
	if err != nil {
		return fmt.Errorf("search for dashboards: %w", err)
	}
	var failures []error
	for _, d := range found {
		if !strings.HasPrefix(d.UID, p.options.Prefix) || !slices.Contains(d.Tags, built.Tag) || wanted[d.UID] {
			continue
		}
		if err := p.client.DeleteDashboardByUID(d.UID); err != nil && status(err) != http.StatusNotFound {
			failures = append(failures, fmt.Errorf("remove the dashboard %q: %w", d.Title, err))
			continue
		}
		delete(p.syncer.known, d.UID)
		p.wrote(kindDashboard, actionDelete, d.UID)
	}
	return errors.Join(failures...)
}

// plain turns lists of Go values into those that JSON decodes to; the settings hold nothing else that differs.
func plain(settings map[string]any) any {
	out := map[string]any{}
	for key, value := range settings {
		switch v := value.(type) {
		case int:
			out[key] = float64(v)
		case map[string]any:
			out[key] = plain(v)
		default:
			out[key] = value
		}
	}
	return out
}
