package faults

import (
	"context"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"
)

const tick = 100 * time.Millisecond // step of all background work

// burn keeps the given share of the CPU busy until ctx ends.
func burn(ctx context.Context, millicores int) {
	var workers sync.WaitGroup
	for ; millicores > 0; millicores -= 1000 {
		busy := tick * time.Duration(min(millicores, 1000)) / 1000
		workers.Go(func() {
			for ctx.Err() == nil {
				begin := time.Now()
				for time.Since(begin) < busy { //nolint:revive // busy on purpose
				}
				pause(ctx, tick-busy)
			}
		})
	}
	workers.Wait()
}

// hoard allocates and touches memory until ctx ends, then gives it back.
func hoard(ctx context.Context, s Setting) {
	var kept [][]byte
	grow(ctx, s, func(n int64) bool {
		chunk := make([]byte, n)
		for i := 0; i < len(chunk); i += os.Getpagesize() {
			chunk[i] = 1
		}
		kept = append(kept, chunk)
		return true
	})
	<-ctx.Done()
	clear(kept)
	debug.FreeOSMemory()
}

// fill writes a file into the folder until ctx ends or the disk is full, keeps it, and removes it when ctx ends.
func fill(ctx context.Context, dir string, s Setting) {
	path := filepath.Join(dir, "spool.tmp")
	file, err := os.Create(path)
	if err != nil {
		return // the folder cannot be written: as full as it gets
	}
	defer os.Remove(path) //nolint:errcheck // the pod's folder goes with the pod
	defer file.Close()    //nolint:errcheck // its content does not matter
	zeros := make([]byte, 1<<16)
	grow(ctx, s, func(n int64) bool {
		for ; n > 0; n -= int64(len(zeros)) {
			if _, err := file.Write(zeros[:min(n, int64(len(zeros)))]); err != nil {
				return false
			}
		}
		return true
	})
	<-ctx.Done()
}

// grow calls add with the bytes of each tick until ctx ends, the maximum is reached, or add can't.
func grow(ctx context.Context, s Setting, add func(int64) bool) {
	step := max(s.BytesPerSecond*int64(tick)/int64(time.Second), 1)
	for have := int64(0); ctx.Err() == nil; have += step {
		if s.MaxBytes > 0 {
			step = min(step, s.MaxBytes-have)
		}
		if step <= 0 || !add(step) {
			return
		}
		pause(ctx, tick)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
