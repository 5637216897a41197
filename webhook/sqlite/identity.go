package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
)

// identity notices that the files of a database are no longer those that were opened. SQLite itself
// does not notice it: it continues to read and write a file that has no name any more, whose
// content is lost when it is closed.
type identity struct{ files atomic.Pointer[[]openedFile] }

// openedFile is a file as it was when the database was opened.
type openedFile struct {
	path string
	info fs.FileInfo
}

// remember records the current files, the database by its names and then its log, as those that are
// open.
func (i *identity) remember(paths []string) error {
	var files []openedFile
	for _, path := range paths {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) && len(files) > 0 {
			continue // a file system on which SQLite keeps no log
		}
		if err != nil {
			return err
		}
		files = append(files, openedFile{path, info})
	}
	i.files.Store(&files)
	return nil
}

// check returns ErrReplaced if one of the files is gone or is another one: on
// Unix, if its device or its inode is.
func (i *identity) check() error {
	files := i.files.Load()
	if files == nil {
		return nil // not open yet
	}
	for _, file := range *files {
		switch info, err := os.Stat(file.path); {
		case err != nil:
			return fmt.Errorf("%w: %w", ErrReplaced, err)
		case !os.SameFile(info, file.info):
			return fmt.Errorf("%w: %s is another file now", ErrReplaced, file.path)
		}
	}
	return nil
}
