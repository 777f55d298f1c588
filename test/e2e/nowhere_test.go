package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// nowhere looks through every file of the folders for a value: as it is, in hex
// and in base64 at each of the three places that it can begin at in a group. What is
// mounted below a folder (the memory in which a pod sees its secrets) is no file of it.
// With "!" the value must be found.
func nowhere(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: nowhere VALUE FOLDER...")
	}
	found := ""
	for _, folder := range args[1:] {
		at, err := findValue(ts.MkAbs(folder), formsOf([]byte(args[0])))
		ts.Check(err)
		if at != "" {
			found = at
		}
	}
	switch {
	case neg && found == "":
		ts.Fatalf("%q is in no file, in no form", args[0])
	case !neg && found != "":
		ts.Fatalf("%q is in %s", args[0], found)
	}
}

// formsOf are the ways in which a value may be written.
func formsOf(value []byte) [][]byte {
	forms := [][]byte{value, []byte(hex.EncodeToString(value))}
	for shift := range 3 {
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			text := encoding.EncodeToString(append(make([]byte, shift), value...))
			// The first and the last characters depend on what is beside the value.
			from, to := (shift*8+5)/6, (shift+len(value))*8/6
			forms = append(forms, []byte(text[from:to]))
		}
	}
	return forms
}

func findValue(folder string, forms [][]byte) (at string, err error) {
	var of syscall.Stat_t
	if err := syscall.Stat(folder, &of); err != nil {
		return "", err
	}
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if os.IsNotExist(err) {
				return nil // it went while we looked
			}
			return err
		}
		var s syscall.Stat_t
		mounted := syscall.Lstat(path, &s) == nil && s.Dev != of.Dev
		switch {
		case d.IsDir() && mounted:
			return fs.SkipDir
		case mounted || !d.Type().IsRegular():
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		for _, form := range forms {
			if bytes.Contains(data, form) {
				at = path + " as " + string(form)
				return fs.SkipAll
			}
		}
		return nil
	})
	return at, err
}
