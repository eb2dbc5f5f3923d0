// Command rca runs the root-cause benchmark: it predicts the causes of recorded incidents, fits the engine's weights to
// them, and measures the engine's speed.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/kubebot/kubebot/test/bench/rca/dataset"
)

const usage = `usage: rca <command> [flags]

  predict  -data <folder> -out <file>       rank the causes of every case of <folder>/cases_blind.json
  train    -data <folder> -weights <file>   fit the weights to <folder>/cases.json and report left-out figures
  speed    -out <file>                      spans per second and peak memory for 10 k, 100 k and 1 M spans
`

// whereData tells where the benchmark data are when the folder does not hold them.
const whereData = `The benchmark data are not part of this repository. They are made of
  Nezha     https://github.com/IntelligentDDS/Nezha at d814010 (MIT)
  PetShop   https://github.com/amazon-science/petshop-root-cause-analysis at 1c5992d (CC-BY-4.0)
Give the folder that holds cases_blind.json with RCA_DATA=<folder>; its layout is described in docs/rca.md.
`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	fs := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	data := fs.String("data", "../shared/rca", "folder of the benchmark data")
	out := fs.String("out", "", "file to write; default standard output")
	var o trainOptions
	fs.StringVar(&o.weights, "weights", "internal/rca/weights/weights.json", "weights file to write, none when empty")
	fs.StringVar(&o.report, "report", "", "file to write the figures of train to, as JSON")
	fs.StringVar(&o.live, "live", "", "folder of snapshots that the live benchmark saved, to learn from them too")
	fs.StringVar(&o.truth, "truth", "", "report of the live benchmark, which says what the faults of those were")
	fs.IntVar(&o.workers, "workers", 0, "cases read at a time; 0 for one per processor")
	if err := fs.Parse(os.Args[2:]); err != nil {
		os.Exit(2)
	}
	var err error
	switch os.Args[1] {
	case "predict":
		err = predict(*data, *out)
	case "train":
		o.data = *data
		err = train(o)
	case "speed":
		err = speed(*out)
	default:
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if errors.Is(err, dataset.ErrNoData) {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, whereData)
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
