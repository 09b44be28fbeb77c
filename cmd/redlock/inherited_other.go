//go:build !unix

package main

import (
	"errors"
	"os"
)

func openFD(int) (*os.File, error) { return nil, errors.New("needs a Unix system") }
