package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/kubebot/kubebot/test/cluster/internal/image"
)

func imageCommand(_ context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("image: want build or list")
	}
	switch args[0] {
	case "build":
		return imageBuild(args[1:])
	case "list":
		for _, c := range append(image.Base(), image.Stack()...) {
			fmt.Printf("%s %s %s\n", c.Spec.Ref, c.Name, c.Spec.Target)
		}
		return nil
	}
	return fmt.Errorf("image: unknown command %q, want build or list", args[0])
}

func imageBuild(args []string) error {
	spec, out, err := parseImageBuild(args)
	if err != nil {
		return err
	}
	if err := image.WriteFile(out, spec); err != nil {
		return err
	}
	fmt.Println(out)
	return nil
}

// parseImageBuild reads the flags of image build.
func parseImageBuild(args []string) (image.Spec, string, error) {
	spec := image.Spec{Files: map[string]string{}, Labels: map[string]string{}}
	flags := flag.NewFlagSet("image build", flag.ContinueOnError)
	flags.StringVar(&spec.Ref, "ref", "", "reference with a tag, for example ghcr.io/kubebot/kubebot:v0.1.0")
	flags.StringVar(&spec.Binary, "binary", "", "the static program")
	flags.StringVar(&spec.User, "user", "65534", "user: root, nobody, nonroot or a number")
	flags.StringVar(&spec.WorkingDir, "workdir", "", "folder that the program starts in")
	flags.StringVar(&spec.Arch, "arch", "", "processor architecture (default this machine's)")
	flags.StringVar(&spec.CABundle, "ca-bundle", "", "file of trusted roots (default this machine's)")
	entrypoint := flags.String("entrypoint", "",
		"path of the program in the image, with fixed arguments after it, separated by spaces (default / and the program's name)")
	cmd := flags.String("cmd", "", "default arguments, separated by spaces")
	out := flags.String("o", "", "tarball to write")
	flags.Func("file", "src:dst, a file to add; may be repeated", pairs(spec.Files, ":", true))
	flags.Func("label", "key=value; may be repeated", pairs(spec.Labels, "=", false))
	flags.Func("dir", "empty folder that the user may write; may be repeated", func(v string) error {
		spec.Dirs = append(spec.Dirs, v)
		return nil
	})
	flags.Func("port", "such as 9090/tcp; may be repeated", func(v string) error {
		spec.Ports = append(spec.Ports, v)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return spec, "", err
	}
	for name, value := range map[string]string{"--ref": spec.Ref, "--binary": spec.Binary, "-o": *out} {
		if value == "" {
			return spec, "", fmt.Errorf("image build: %s is missing", name)
		}
	}
	spec.Entrypoint, spec.Cmd = strings.Fields(*entrypoint), strings.Fields(*cmd)
	spec.Target = path.Join("/", filepath.Base(spec.Binary))
	if len(spec.Entrypoint) > 0 {
		spec.Target = spec.Entrypoint[0]
	}
	return spec, *out, nil
}

// pairs makes a flag function that adds left and right to a map, right as the
// key when swapped.
func pairs(into map[string]string, separator string, swapped bool) func(string) error {
	return func(v string) error {
		left, right, ok := strings.Cut(v, separator)
		if !ok || left == "" || right == "" {
			return fmt.Errorf("want two parts with %q between them", separator)
		}
		if swapped {
			left, right = right, left
		}
		into[left] = right
		return nil
	}
}
