package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync/atomic"
)

// identity notices that the files of a database are no longer those that were opened. SQLite itself
// does not notice it: it continues to read and write a file that has no name any more, whose
// content is lost when it is closed.
type identity struct{ files atomic.Pointer[[]openedFile] }

// otherLog returns ErrReplaced if another file is where the log or its index was, and the database
// is in its place. (SQLite itself looks after a database that is not, when it is closed.)
func (i *identity) otherLog() error {
	files := i.files.Load()
	if files == nil {
		return nil
	}
	var other error
	for _, file := range *files {
		err := file.check()
		switch {
		case err == nil:
		case !file.log:
			return nil
		case !errors.Is(err, fs.ErrNotExist):
			other = err
		}
	}
	return other
}

// openedFile is a file as it was when the database was opened.
type openedFile struct {
	path string
	info fs.FileInfo
	log  bool // it is the log, or the index of the log, in which all locks are
}

// check returns ErrReplaced if the file is gone or is another one: on Unix, if its device or its
// inode is.
func (f *openedFile) check() error {
	switch info, err := os.Stat(f.path); {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrReplaced, err)
	case !os.SameFile(info, f.info):
		return fmt.Errorf("%w: %s is another file now", ErrReplaced, f.path)
	}
	return nil
}

// remember records the current files, the database by its names, and its log with its index, as
// those that are open.
func (i *identity) remember(names []string, logs ...string) error {
	var files []openedFile
	for n, path := range append(slices.Clone(names), logs...) {
		log := n >= len(names)
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) && n > 0 {
			continue // a file system on which SQLite keeps no log
		}
		if err != nil {
			return err
		}
		files = append(files, openedFile{path, info, log})
	}
	i.files.Store(&files)
	return nil
}

// check returns ErrReplaced if one of the files is gone or is another one.
func (i *identity) check() error {
	files := i.files.Load()
	if files == nil {
		return nil // not open yet
	}
	for _, file := range *files {
		if err := file.check(); err != nil {
			return err
		}
	}
	return nil
}
