package past

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
)

// withAges lets the tables of h give ages as of a time: their printers know no
// other time than now.
func withAges(h http.Handler, at time.Time) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !wantsTable(r) {
			h.ServeHTTP(w, r)
			return
		}
		in := r.Clone(r.Context())
		in.Header.Del("Accept-Encoding") // the answer is rewritten
		out := newRecorder()
		h.ServeHTTP(out, in)
		body := out.body.Bytes()
		if out.code == http.StatusOK && strings.HasPrefix(out.header.Get("Content-Type"), "application/json") {
			if aged, ok := age(body, at); ok {
				body = aged
			}
		}
		for k, v := range out.header {
			w.Header()[k] = v
		}
		w.Header().Del("Content-Length")
		w.WriteHeader(out.code)
		w.Write(body) //nolint:errcheck // who asked may be gone; there's nobody else to tell
	})
}

// wantsTable reports whether a request is a list or an object as a table. Watches
// are streams, and begin with what a list showed.
func wantsTable(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "as=Table") && r.Method == http.MethodGet && !isTrue(r.URL.Query().Get("watch"))
}

func isTrue(v string) bool { return v == "true" || v == "1" }

// age rewrites the columns of a table that hold the object's age; false: there
// are none, or it isn't a table.
func age(body []byte, at time.Time) ([]byte, bool) {
	var table struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ListMeta   `json:"metadata"`
		ColumnDefinitions []metav1.TableColumnDefinition `json:"columnDefinitions"`
		Rows              []struct {
			Cells      []any                      `json:"cells"`
			Conditions []metav1.TableRowCondition `json:"conditions,omitempty"`
			Object     json.RawMessage            `json:"object,omitempty"`
		} `json:"rows"`
	}
	if err := json.Unmarshal(body, &table); err != nil || table.Kind != "Table" {
		return nil, false
	}
	column := -1
	for i, c := range table.ColumnDefinitions {
		if c.Name == "Age" {
			column = i
		}
	}
	if column < 0 {
		return nil, false
	}
	for i := range table.Rows {
		var object struct {
			Metadata struct {
				CreationTimestamp metav1.Time `json:"creationTimestamp"`
			} `json:"metadata"`
		}
		row := &table.Rows[i]
		if column >= len(row.Cells) || json.Unmarshal(row.Object, &object) != nil || object.Metadata.CreationTimestamp.IsZero() {
			continue
		}
		row.Cells[column] = duration.HumanDuration(at.Sub(object.Metadata.CreationTimestamp.Time))
	}
	out, err := json.Marshal(table)
	return out, err == nil
}
