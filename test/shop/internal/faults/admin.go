package faults

import (
	"encoding/json"
	"net/http"
)

// Handler serves the switch: GET /faults shows what is on, PUT /faults/{kind} with a Setting switches on,
// DELETE /faults/{kind} and DELETE /faults switch off. Each answers with the state after it.
func (s *Switch) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /faults", s.show)
	mux.HandleFunc("PUT /faults/{kind}", func(w http.ResponseWriter, r *http.Request) {
		kind := Kind(r.PathValue("kind"))
		setting, err := ParseSetting(kind, r.Body)
		if err == nil {
			err = s.Set(kind, setting)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.show(w, r)
	})
	mux.HandleFunc("DELETE /faults/{kind}", func(w http.ResponseWriter, r *http.Request) {
		s.Clear(Kind(r.PathValue("kind")))
		s.show(w, r)
	})
	mux.HandleFunc("DELETE /faults", func(w http.ResponseWriter, r *http.Request) {
		s.ClearAll()
		s.show(w, r)
	})
	return mux
}

func (s *Switch) show(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s.State()) // the caller is gone if this fails
}
