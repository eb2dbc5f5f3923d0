// Package learned shows and changes what a KubeBot learned from people's judgements, with the user's own rights.
package learned

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/internal/learn"
	"github.com/kubebot/kubebot/internal/learn/store"
)

// timeout of a command.
const timeout = 10 * time.Second

// where says which KubeBot's state is meant.
type where struct {
	namespace, kubeBot, kubeconfig, context string
}

// Command returns the command `kubebot learned`.
func Command() *cobra.Command {
	w := &where{}
	c := &cobra.Command{
		Use:   "learned",
		Short: "Show and change what was learned from people's judgements of incidents",
		Long: "Show and change what was learned from people's judgements of incidents.\n" +
			"It needs the right to read, and for changes to update, the ConfigMap kubebot-learned.",
		Example: `  kubebot learned show -n kubebot
  kubebot learned decisions -n kubebot
  kubebot learned forget inc-0123456789abcdef-1 -n kubebot
  kubebot learned reset --team shop --kind PodCrashLooping -n kubebot
  kubebot learned pin shop CertificateExpiring Push -n kubebot
  kubebot learned export -n kubebot > learned.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f := c.PersistentFlags()
	f.StringVarP(&w.namespace, "namespace", "n", "", "namespace of the KubeBot (default that of the kubeconfig's context)")
	f.StringVar(&w.kubeBot, "kubebot", "main", "name of the KubeBot")
	f.StringVar(&w.kubeconfig, "kubeconfig", "", "kubeconfig file (default as kubectl finds it)")
	f.StringVar(&w.context, "context", "", "context of the kubeconfig")
	c.AddCommand(showCommand(w), decisionsCommand(w), exportCommand(w), importCommand(w), resetCommand(w), forgetCommand(w), pinCommand(w), unpinCommand(w))
	return c
}

// cluster returns how to reach the cluster, and the namespace of the KubeBot.
func (w *where) cluster() (*rest.Config, string, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = w.kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: w.context})
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("find the cluster: %w", err)
	}
	namespace := w.namespace
	if namespace == "" {
		if namespace, _, err = loader.Namespace(); err != nil {
			return nil, "", fmt.Errorf("find the namespace: %w", err)
		}
	}
	return config, namespace, nil
}

// open returns the store.
func (w *where) open() (store.Store, error) {
	config, namespace, err := w.cluster()
	if err != nil {
		return store.Store{}, err
	}
	c, err := client.New(config, client.Options{})
	if err != nil {
		return store.Store{}, fmt.Errorf("make the client: %w", err)
	}
	return store.Store{Client: c, Namespace: namespace, KubeBot: w.kubeBot}, nil
}

// action is what a command does with the store.
type action func(ctx context.Context, s store.Store, out io.Writer) error

// run does an action within the timeout.
func (w *where) run(cmd *cobra.Command, do action) error {
	s, err := w.open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
	defer cancel()
	return do(ctx, s, cmd.OutOrStdout())
}

func showCommand(w *where) *cobra.Command {
	o := showOptions{output: "text", now: time.Now}
	c := &cobra.Command{
		Use: "show", Short: "Show what was learned of each kind of alert in each team, and why", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.output != "text" && o.output != "json" {
				return fmt.Errorf("unknown output %q: use text or json", o.output)
			}
			return w.run(cmd, func(ctx context.Context, s store.Store, out io.Writer) error { return show(ctx, s, o, out) })
		},
	}
	c.Flags().StringVarP(&o.output, "output", "o", o.output, "text or json")
	c.Flags().IntVar(&o.weights, "weights", 0, "how many of the model's heaviest weights are shown too")
	return c
}

func exportCommand(w *where) *cobra.Command {
	return &cobra.Command{
		Use: "export", Short: "Write the state as one JSON document", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return w.run(cmd, export) },
	}
}

func export(ctx context.Context, s store.Store, out io.Writer) error {
	state, err := s.Load(ctx)
	if err != nil {
		return err
	}
	text, err := state.Encode()
	if err != nil {
		return err
	}
	if _, err := out.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("write the state: %w", err)
	}
	return nil
}

func importCommand(w *where) *cobra.Command {
	return &cobra.Command{
		Use: "import FILE", Short: "Replace the state by an exported one; - for standard input", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := readFile(args[0], cmd.InOrStdin())
			if err != nil {
				return err
			}
			return w.run(cmd, func(ctx context.Context, s store.Store, out io.Writer) error { return replace(ctx, s, text, out) })
		},
	}
}

func readFile(name string, in io.Reader) ([]byte, error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("read the state: %w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, learn.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	return text, nil
}

func replace(ctx context.Context, s store.Store, text []byte, out io.Writer) error {
	state, err := learn.Parse(text)
	if err != nil {
		return err
	}
	stored, err := s.Replace(ctx, state)
	if err != nil {
		return err
	}
	return say(out, "Imported: %d cells, %d pins, now state %d", len(stored.Cells), len(stored.Pins), stored.Revision)
}

func resetCommand(w *where) *cobra.Command {
	var team, kind string
	var all bool
	c := &cobra.Command{
		Use: "reset", Short: "Drop what was learned of a kind of alert, of a team, or all", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (team == "" && kind == "") != all {
				return errors.New("say what is dropped: --team, --kind or both, or --all alone")
			}
			return w.run(cmd, func(ctx context.Context, s store.Store, out io.Writer) error {
				return reset(ctx, s, orAny(team), orAny(kind), time.Now(), out)
			})
		},
	}
	c.Flags().StringVar(&team, "team", "", "team, that is a namespace")
	c.Flags().StringVar(&kind, "kind", "", "kind of alert, that is its name")
	c.Flags().BoolVar(&all, "all", false, "drop everything but the pins, even a state that can't be read")
	return c
}

func orAny(name string) string {
	if name == "" {
		return learn.Any
	}
	return name
}

func reset(ctx context.Context, s store.Store, team, kind string, now time.Time, out io.Writer) error {
	if _, err := s.Load(ctx); err != nil && team == learn.Any && kind == learn.Any {
		stored, replaceErr := s.Replace(ctx, learn.State{Since: now})
		if replaceErr != nil {
			return replaceErr
		}
		return say(out, "Dropped a state that could not be read, now state %d", stored.Revision)
	}
	dropped := 0
	state, err := s.Change(ctx, func(state learn.State) (learn.State, bool, error) {
		state, dropped = state.ResetCells(team, kind, now)
		return state, dropped > 0, nil
	})
	if err != nil {
		return err
	}
	return say(out, "Dropped %d judgements, now state %d", dropped, state.Revision)
}

func forgetCommand(w *where) *cobra.Command {
	return &cobra.Command{
		Use: "forget INCIDENT", Short: "Take back the judgements of one Incident", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.run(cmd, func(ctx context.Context, s store.Store, out io.Writer) error {
				return forget(ctx, s, args[0], time.Now(), out)
			})
		},
	}
}

func forget(ctx context.Context, s store.Store, incident string, now time.Time, out io.Writer) error {
	state, err := s.Change(ctx, func(state learn.State) (learn.State, bool, error) {
		next, ok := state.Forget(incident, now)
		if !ok {
			return state, false, fmt.Errorf("no judgement of Incident %s is known", incident)
		}
		return next, true, nil
	})
	if err != nil {
		return err
	}
	return say(out, "Forgot the judgements of Incident %s, now state %d", incident, state.Revision)
}

func pinCommand(w *where) *cobra.Command {
	by := ""
	c := &cobra.Command{
		Use: "pin TEAM KIND ACTION", Short: "Fix what is done with a kind of alert: Push, Digest or Quiet; * for every team or kind", Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			p := learn.Pin{Team: args[0], Kind: args[1], By: by}
			if err := p.Action.UnmarshalText([]byte(args[2])); err != nil {
				return err
			}
			return w.run(cmd, func(ctx context.Context, s store.Store, out io.Writer) error { return pin(ctx, s, p, out) })
		},
	}
	if me, err := user.Current(); err == nil {
		by = me.Username
	}
	c.Flags().StringVar(&by, "by", by, "who pins it")
	return c
}

func pin(ctx context.Context, s store.Store, p learn.Pin, out io.Writer) error {
	state, err := s.Change(ctx, func(state learn.State) (learn.State, bool, error) {
		next, err := state.PinTo(p)
		return next, err == nil, err
	})
	if err != nil {
		return err
	}
	return say(out, "Pinned %s in %s to %s, now state %d; critical incidents are pushed all the same", p.Kind, p.Team, p.Action, state.Revision)
}

func unpinCommand(w *where) *cobra.Command {
	return &cobra.Command{
		Use: "unpin TEAM KIND", Short: "Remove a pin", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.run(cmd, func(ctx context.Context, s store.Store, out io.Writer) error {
				return unpin(ctx, s, args[0], args[1], out)
			})
		},
	}
}

func unpin(ctx context.Context, s store.Store, team, kind string, out io.Writer) error {
	state, err := s.Change(ctx, func(state learn.State) (learn.State, bool, error) {
		next, ok := state.Unpin(team, kind)
		if !ok {
			return state, false, fmt.Errorf("there is no pin of %s in %s", kind, team)
		}
		return next, true, nil
	})
	if err != nil {
		return err
	}
	return say(out, "Removed the pin of %s in %s, now state %d", kind, team, state.Revision)
}

func say(out io.Writer, format string, args ...any) error {
	if _, err := fmt.Fprintf(out, format+"\n", args...); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}
