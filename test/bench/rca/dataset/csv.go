package dataset

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxFileBytes bounds a decompressed file.
const maxFileBytes = 1 << 30

// eachRow calls fn with every record of a CSV file (gzip or plain), the header first. Records with a wrong number of
// fields or broken quotes are skipped: the recordings hold a few.
func eachRow(file string, fn func(row []string) error) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("open data file: %w", err)
	}
	defer f.Close()
	var r io.Reader = f
	if len(file) > 3 && file[len(file)-3:] == ".gz" {
		z, err := gzip.NewReader(f)
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
		defer z.Close()
		r = z
	}
	return parseRows(io.LimitReader(r, maxFileBytes), fn)
}

func parseRows(r io.Reader, fn func(row []string) error) error {
	c := csv.NewReader(r)
	c.ReuseRecord = true
	c.LazyQuotes = true
	for {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var bad *csv.ParseError
		if errors.As(err, &bad) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read csv: %w", err)
		}
		if err := fn(row); err != nil {
			return err
		}
	}
}

// columns finds the positions of named columns in a header; all must be there.
func columns(header []string, names ...string) ([]int, error) {
	out := make([]int, len(names))
	for i, n := range names {
		out[i] = -1
		for j, h := range header {
			if h == n {
				out[i] = j
			}
		}
		if out[i] < 0 {
			return nil, fmt.Errorf("no column %q", n)
		}
	}
	return out, nil
}
