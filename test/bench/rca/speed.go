package main

func speed(out string) error { _ = out; return nil }
