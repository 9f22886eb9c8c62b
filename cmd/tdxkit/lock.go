package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// How long another process may hold a file, and how often it is tried.
const (
	lockPatience = 10 * time.Second
	lockInterval = 20 * time.Millisecond
)

// lockBeside locks the folder of a file against other processes that ask for the same, so that what is read of the file is
// still so when it is written anew. Closing what is returned unlocks it.
func lockBeside(ctx context.Context, path string) (*os.File, error) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, inFile(path, roleOther, err)
	}
	for end := time.Now().Add(lockPatience); ; {
		locked, err := tryLock(dir)
		switch {
		case err != nil:
			err = inFile(path, roleOther, fmt.Errorf("its folder cannot be locked: %w", err))
		case locked:
			return dir, nil
		case ctx.Err() != nil:
			err = ctx.Err()
		case time.Now().After(end):
			err = &inputError{msg: path + ": another process has held it for " + lockPatience.String()}
		}
		if err != nil {
			dir.Close()
			return nil, err
		}
		time.Sleep(lockInterval)
	}
}
