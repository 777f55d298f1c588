package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/reckon-project/reckon/projections/history"
	"github.com/spf13/cobra"
	"golang.org/x/term"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

// historian asks the API server about the past, as kubectl asks it about the present.
type historian struct {
	flags *genericclioptions.ConfigFlags
	color string
	all   bool

	client *http.Client
	host   string
}

// historyFlags adds the flags of commands that ask about the past.
func historyFlags(cmd *cobra.Command) *historian {
	h := &historian{flags: genericclioptions.NewConfigFlags(true)}
	dataFlags(cmd)
	f := cmd.Flags()
	f.StringVar(h.flags.KubeConfig, "kubeconfig", "", "path of the kubeconfig (default: KUBECONFIG, or the cluster in the data folder)")
	f.StringVar(h.flags.Context, "context", "", "kubeconfig context to use")
	f.StringVarP(h.flags.Namespace, "namespace", "n", "", "namespace (default: the context's)")
	f.StringVarP(h.flags.APIServer, "server", "s", "", "address of the API server")
	f.StringVar(h.flags.BearerToken, "token", "", "bearer token to authenticate with")
	f.StringVar(h.flags.Impersonate, "as", "", "user to act as")
	f.StringVar(&h.color, "color", "auto", "colours: auto (on a terminal without NO_COLOR), always or never")
	f.BoolVar(&h.all, "all", false, "show bookkeeping fields and long chains too")
	return h
}

// begin reads the configuration once the flags are parsed.
func (h *historian) begin(cmd *cobra.Command) error {
	switch h.color {
	case "auto", "always", "never":
	default:
		return fmt.Errorf("--color %q is none of auto, always, never", h.color)
	}
	if os.Getenv("KUBECONFIG") == "" && *h.flags.KubeConfig == "" {
		f, err := dataFolder(cmd)
		if err != nil {
			return err
		}
		if _, err := os.Stat(f.kubeconfig()); err == nil {
			*h.flags.KubeConfig = f.kubeconfig()
		}
	}
	config, err := h.flags.ToRESTConfig()
	if err != nil {
		return err
	}
	if h.client, err = rest.HTTPClientFor(config); err != nil {
		return err
	}
	address, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return err
	}
	h.host = strings.TrimSuffix(address.String(), "/")
	return nil
}

// namespace is the one that the command is about.
func (h *historian) namespace() (string, error) {
	ns, _, err := h.flags.ToRawKubeConfigLoader().Namespace()
	return ns, err
}

// ask sends a request and decodes the answer into out, or gives it back as it
// is for an out of nil.
func (h *historian) ask(ctx context.Context, method, path string, query url.Values, out any) ([]byte, error) {
	address := h.host + (&url.URL{Path: path}).EscapedPath()
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	answer, err := h.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode >= http.StatusBadRequest {
		return nil, refusal(answer, body)
	}
	if out == nil {
		return body, nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(out); err != nil {
		return nil, fmt.Errorf("read the answer to %s: %w", path, err)
	}
	return body, nil
}

// refused is an answer that isn't one.
type refused struct {
	code    int
	message string
}

func (r *refused) Error() string { return r.message }

func refusal(answer *http.Response, body []byte) error {
	var status metav1.Status
	if err := json.Unmarshal(body, &status); err == nil && status.Kind == "Status" && status.Message != "" {
		return &refused{answer.StatusCode, status.Message}
	}
	if answer.StatusCode == http.StatusNotFound {
		return &refused{answer.StatusCode, "the server at " + answer.Request.URL.Host + " doesn't keep a history: is it Reckon's?"}
	}
	return &refused{answer.StatusCode, fmt.Sprintf("%s: %s", answer.Status, strings.TrimSpace(string(body)))}
}

func isNotFound(err error) bool {
	var r *refused
	return errors.As(err, &r) && r.code == http.StatusNotFound
}

func isGone(err error) bool {
	var r *refused
	return errors.As(err, &r) && r.code == http.StatusGone
}

// style is how answers are written to where the command writes.
func (h *historian) style(w io.Writer) history.Style {
	s := history.Style{All: h.all, Location: time.Local, Color: h.color == "always"}
	if f, ok := w.(*os.File); ok && h.color == "auto" {
		s.Color = term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
	return s
}

// written prints an answer of the server as JSON or YAML; false: neither is asked for.
func written(w io.Writer, format string, body []byte) (bool, error) {
	switch format {
	case "":
		return false, nil
	case "json":
		var b bytes.Buffer
		if err := json.Indent(&b, body, "", "  "); err != nil {
			return true, err
		}
		b.WriteByte('\n')
		_, err := b.WriteTo(w)
		return true, err
	case "yaml":
		text, err := yaml.JSONToYAML(body)
		if err != nil {
			return true, err
		}
		_, err = w.Write(text)
		return true, err
	}
	return true, fmt.Errorf("--output %q is neither json nor yaml", format)
}
