package learned

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

func decisionsCommand(w *where) *cobra.Command {
	all := false
	c := &cobra.Command{
		Use: "decisions", Short: "List the incidents that were decided by what was learned, and what would have been done without", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, namespace, err := w.cluster()
			if err != nil {
				return err
			}
			scheme := runtime.NewScheme()
			if err := v1alpha1.AddToScheme(scheme); err != nil {
				return fmt.Errorf("build the scheme: %w", err)
			}
			api, err := client.New(config, client.Options{Scheme: scheme})
			if err != nil {
				return fmt.Errorf("make the client: %w", err)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			return decisions(ctx, api, namespace, w.kubeBot, all, cmd.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&all, "all", false, "also those for which it was asked and changed nothing")
	return c
}

// decisions lists Incidents, the newest first.
func decisions(ctx context.Context, api client.Reader, namespace, kubeBot string, all bool, out io.Writer) error {
	var list v1alpha1.IncidentList
	if err := api.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return fmt.Errorf("list Incidents: %w", err)
	}
	list.Items = slices.DeleteFunc(list.Items, func(inc v1alpha1.Incident) bool {
		d := inc.Status.Decision
		return inc.Spec.KubeBot != kubeBot || d == nil || d.Learned == nil || !all && d.Learned.Action == d.Learned.Without
	})
	if len(list.Items) == 0 {
		return say(out, "No incident was decided by what was learned.")
	}
	slices.SortStableFunc(list.Items, func(a, b v1alpha1.Incident) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "INCIDENT\tSUBJECT\tACTION\tWITHOUT\tCHANCE\tREASON\tWHY")
	for _, inc := range list.Items {
		d := inc.Status.Decision.Learned
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d %%\t%s\t%s\n", inc.Name, inc.Spec.Subject.Display, d.Action, d.Without, d.ChancePercent, d.Reason, d.Message)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}
