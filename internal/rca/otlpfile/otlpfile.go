// Package otlpfile reads telemetry that the OpenTelemetry Collector's file exporter wrote: JSON lines or
// length-prefixed protobuf messages, plain or gzip.
package otlpfile

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// maxMessage bounds one message or line.
const maxMessage = 64 << 20

// Sink takes what was read; rca.Builder is one.
type Sink interface {
	AddTraces(ptrace.Traces)
	AddLogs(plog.Logs)
	AddMetrics(pmetric.Metrics)
}

// ReadFolder reads every telemetry file below a folder (or one file) in the order of their names and gives their number.
// Files with other suffixes than .json, .jsonl, .ndjson, .pb, .binpb and .proto (and .gz on top) are skipped.
func ReadFolder(path string, to Sink) (int, error) {
	var files []string
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && formatOf(p) != "" {
			files = append(files, p)
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("list telemetry files: %w", err)
	}
	sort.Strings(files)
	for _, f := range files {
		if err := readFile(f, to); err != nil {
			return 0, fmt.Errorf("read %s: %w", f, err)
		}
	}
	return len(files), nil
}

// formatOf gives json, proto or nothing.
func formatOf(name string) string {
	switch filepath.Ext(strings.TrimSuffix(name, ".gz")) {
	case ".json", ".jsonl", ".ndjson":
		return "json"
	case ".pb", ".binpb", ".proto":
		return "proto"
	}
	return ""
}

func readFile(name string, to Sink) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		z, err := gzip.NewReader(f)
		if err != nil {
			return fmt.Errorf("decompress: %w", err)
		}
		defer z.Close()
		r = z
	}
	if formatOf(name) == "json" {
		return ReadJSON(r, to)
	}
	return ReadProto(r, signalOf(filepath.Base(name)), to)
}

// signalOf guesses the signal of a protobuf file from its name; JSON says it itself.
func signalOf(name string) string {
	for _, s := range []string{"trace", "span", "log", "metric"} {
		if strings.Contains(strings.ToLower(name), s) {
			return s
		}
	}
	return ""
}

// ReadJSON reads OTLP JSON messages, one a line.
func ReadJSON(r io.Reader, to Sink) error {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 1<<16), maxMessage)
	for n := 1; s.Scan(); n++ {
		line := bytes.TrimSpace(s.Bytes())
		if len(line) == 0 {
			continue
		}
		if err := addJSON(line, to); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("read lines: %w", err)
	}
	return nil
}

func addJSON(line []byte, to Sink) error {
	switch {
	case bytes.Contains(line, []byte(`"resourceSpans"`)):
		td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(line)
		if err != nil {
			return fmt.Errorf("parse traces: %w", err)
		}
		to.AddTraces(td)
	case bytes.Contains(line, []byte(`"resourceLogs"`)):
		ld, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(line)
		if err != nil {
			return fmt.Errorf("parse logs: %w", err)
		}
		to.AddLogs(ld)
	case bytes.Contains(line, []byte(`"resourceMetrics"`)):
		md, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(line)
		if err != nil {
			return fmt.Errorf("parse metrics: %w", err)
		}
		to.AddMetrics(md)
	default:
		return errors.New("neither spans nor logs nor metrics")
	}
	return nil
}

// ReadProto reads protobuf messages of one signal (trace, span, log or metric), each after its length in four bytes, big
// endian.
func ReadProto(r io.Reader, signal string, to Sink) error {
	br := bufio.NewReader(r)
	var head [4]byte
	for {
		if _, err := io.ReadFull(br, head[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read message length: %w", err)
		}
		n := binary.BigEndian.Uint32(head[:])
		if n > maxMessage {
			return fmt.Errorf("message of %d bytes, at most %d are read", n, maxMessage)
		}
		msg, err := io.ReadAll(io.LimitReader(br, int64(n)))
		if err != nil {
			return fmt.Errorf("read message: %w", err)
		}
		if len(msg) != int(n) {
			return fmt.Errorf("read message: %w", io.ErrUnexpectedEOF)
		}
		if err := addProto(msg, signal, to); err != nil {
			return err
		}
	}
}

func addProto(msg []byte, signal string, to Sink) error {
	switch signal {
	case "trace", "span":
		td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(msg)
		if err != nil {
			return fmt.Errorf("parse traces: %w", err)
		}
		to.AddTraces(td)
	case "log":
		ld, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(msg)
		if err != nil {
			return fmt.Errorf("parse logs: %w", err)
		}
		to.AddLogs(ld)
	case "metric":
		md, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(msg)
		if err != nil {
			return fmt.Errorf("parse metrics: %w", err)
		}
		to.AddMetrics(md)
	default:
		return errors.New("the file name says neither traces nor logs nor metrics")
	}
	return nil
}
