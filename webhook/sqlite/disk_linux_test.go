package sqlite_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/mixpeek/webhooks-go/webhook/sqlite"
)

// disk records what SQLite does to the files of a folder, so that a test can tell what a loss of
// power may leave of them, and makes calls fail. It syncs nothing, which saves most of the time.
type disk struct {
	folder string

	mu      sync.Mutex
	log     []change
	files   int            // how many were created
	names   map[string]int // of the files, by name
	failing failure
	calls   int // that could have failed
	failed  int
	lies    bool // no sync makes anything durable, and all report success
}

// failure says which calls fail: count of them, from the first on, in the order of all writes,
// truncations, syncs and deletions.
type failure struct {
	first, count int
	full         bool // writes find the disk full, instead of an I/O error
}

// change is something that SQLite did.
type change struct {
	kind   changeKind
	file   int
	name   string // of one that is made or removed
	offset int64  // of a write, and the size after a truncation
	data   []byte // what was written
}

type changeKind int

const (
	kindWrite changeKind = iota
	kindTruncate
	kindSync // makes the content of a file durable
	// kindFailedSync does not, and neither does a later sync for what was written before it: Linux
	// forgets that it has to be.
	kindFailedSync
	kindCreate
	kindDelete
	kindFolderSync // makes the names of files durable
)

// newDisk records a folder until the test ends, or the disk is removed.
func newDisk(t *testing.T) *disk {
	t.Helper()
	require.NoError(t, registerDisks())
	folder, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	d := &disk{folder: folder, names: make(map[string]int)}
	disks.Store(folder, d)
	t.Cleanup(func() { disks.Delete(folder) }) // once more does no harm
	return d
}

// remove forgets the disk: a test has thousands of them, one after the other.
func (d *disk) remove(t *testing.T) {
	t.Helper()
	disks.Delete(d.folder)
	require.NoError(t, os.RemoveAll(d.folder))
}

// path is that of the database.
func (d *disk) path() string { return filepath.Join(d.folder, "webhooks.db") }

// now is how much has happened so far.
func (d *disk) now() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.log)
}

func (d *disk) record(c change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log = append(d.log, c)
}

// fails reports whether the next call fails.
func (d *disk) fails() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.calls - d.failing.first
	d.calls++
	if n < 0 || n >= d.failing.count {
		return false
	}
	d.failed++
	return true
}

// fail makes calls fail, counted from now on.
func (d *disk) fail(f failure) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failing, d.calls = f, 0
}

// heal makes no more calls fail, and returns how many have failed.
func (d *disk) heal() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failing = failure{}
	return d.failed
}

func (d *disk) full() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failing.full
}

// created records a new file, unless there is one of the name.
func (d *disk) created(name string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if file, ok := d.names[name]; ok {
		return file
	}
	d.files++
	d.names[name] = d.files
	d.log = append(d.log, change{kind: kindCreate, file: d.files, name: name})
	return d.files
}

func (d *disk) deleted(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log = append(d.log, change{kind: kindDelete, file: d.names[name], name: name})
	delete(d.names, name)
}

// loss says what becomes of what was not durable when the power failed.
type loss int

const (
	losesNothing loss = iota // what a killed process leaves
	losesAll
	losesTheEnd // keeps what came first
	losesAny    // keeps any of it, and parts of it
	losses
)

// content is a folder by the names of its files.
type content map[string][]byte

// after returns what the folder may hold if the power failed after that much of the log.
func (d *disk) after(cut int, l loss, random *rand.Rand) content {
	d.mu.Lock()
	log := d.log[:cut]
	d.mu.Unlock()

	durable := make([]bool, len(log))
	waiting := make(map[int][]int) // changes of a file that wait for a sync
	var names []int                // changes of names that do
	for i, c := range log {
		switch c.kind {
		case kindWrite, kindTruncate:
			waiting[c.file] = append(waiting[c.file], i)
		case kindSync:
			for _, j := range waiting[c.file] {
				durable[j] = true
			}
			delete(waiting, c.file)
		case kindFailedSync:
			delete(waiting, c.file)
		case kindCreate, kindDelete:
			names = append(names, i)
		case kindFolderSync:
			for _, j := range names {
				durable[j] = true
			}
			names = nil
		}
	}
	// A file system may lose the last names, but not earlier ones only.
	end := cut
	if l == losesTheEnd || l == losesAny {
		end = random.IntN(cut + 1)
	}
	files, named := make(map[int][]byte), make(map[string]int)
	for i, c := range log {
		kept := durable[i] || l == losesNothing || l != losesAll && i < end
		switch c.kind {
		case kindCreate:
			if kept {
				named[c.name] = c.file
			}
		case kindDelete:
			if kept {
				delete(named, c.name)
			}
		case kindTruncate:
			if l == losesAny && !durable[i] {
				kept = random.IntN(2) == 0
			}
			if kept {
				files[c.file] = resized(files[c.file], int(c.offset))
			}
		case kindWrite:
			data := c.data
			if l == losesAny && !durable[i] {
				data = torn(data, files[c.file], int(c.offset), random)
				kept = data != nil
			}
			if kept {
				to := int(c.offset) + len(data)
				files[c.file] = resized(files[c.file], max(len(files[c.file]), to))
				copy(files[c.file][c.offset:], data)
			}
		}
	}
	left := make(content)
	for name, file := range named {
		left[name] = files[file]
	}
	return left
}

func resized(b []byte, size int) []byte {
	if size <= len(b) {
		return b[:size:size] // what grows again grows by zeros
	}
	return append(b, make([]byte, size-len(b))...)
}

// torn returns what is left of a write: all, nothing, or sectors of it, between what was there
// before, zeros, and what is neither. A sector that is written with what it holds keeps that: SQLite
// relies on it, too, because the system writes more than SQLite has written.
func torn(data, before []byte, offset int, random *rand.Rand) []byte {
	switch random.IntN(4) {
	case 0:
		return nil
	case 1:
		return data
	}
	const sector = 512
	left := make([]byte, len(data))
	if offset < len(before) {
		copy(left, before[offset:])
	}
	for at := 0; at < len(data); {
		// Sectors begin where those of the disk do, whatever the offset is.
		next := min(len(data), at+sector-(offset+at)%sector)
		kind := random.IntN(8)
		if offset+next <= len(before) && bytes.Equal(before[offset+at:offset+next], data[at:next]) {
			kind = 1
		}
		switch kind {
		case 0:
			for i := at; i < next; i++ {
				left[i] = byte(random.Uint32())
			}
		case 1, 2, 3:
			copy(left[at:next], data[at:next])
		}
		at = next
	}
	return left
}

// holding returns a disk with the content, all of which is durable.
func holding(t *testing.T, c content) *disk {
	t.Helper()
	d := newDisk(t)
	for _, name := range slices.Sorted(maps.Keys(c)) {
		require.NoError(t, os.WriteFile(filepath.Join(d.folder, name), c[name], 0o600))
		file := d.created(name)
		d.record(change{kind: kindWrite, file: file, data: c[name]})
		d.record(change{kind: kindSync, file: file})
	}
	d.record(change{kind: kindFolderSync})
	return d
}

// The rest is a VFS of SQLite, which does what the one of the system does. It is the default one of
// this process, because Open takes no other, and leaves files in other folders alone.

var disks sync.Map // *disk by folder

// diskOf returns the disk that the file is on. The result is nil for most.
func diskOf(path string) *disk {
	if d, ok := disks.Load(filepath.Dir(path)); ok {
		return d.(*disk)
	}
	return nil
}

// diskFile begins the memory that SQLite has for an open file. The file of the system follows.
type diskFile struct {
	methods uintptr
	handle  uintptr
}

const diskFileSize = unsafe.Sizeof(diskFile{})

// openFile is a file that is open.
type openFile struct {
	disk   *disk
	file   int
	synced bool // guarded by SQLite: one thread at a time uses a file
}

var (
	system        uintptr // the VFS of the system
	openFolder    uintptr // its call that opens a folder to sync it
	diskMethods   uintptr
	diskHandles   sync.Map // *openFile by handle
	lastHandle    uintptr
	lastHandleMu  sync.Mutex
	registerDisks = sync.OnceValue(func() error {
		tls := libc.NewTLS() // lives as long as the process
		if system = sqlite3.Xsqlite3_vfs_find(tls, 0); system == 0 {
			return errors.New("SQLite has no VFS")
		}
		diskMethods = libc.Xcalloc(tls, 1, libc.Tsize_t(unsafe.Sizeof(sqlite3.Tsqlite3_io_methods{})))
		*at[sqlite3.Tsqlite3_io_methods](diskMethods) = sqlite3.Tsqlite3_io_methods{
			FiVersion: 2, // shared memory, and no mapped files
			FxClose:   pointer(diskClose), FxRead: pointer(diskRead), FxWrite: pointer(diskWrite),
			FxTruncate: pointer(diskTruncate), FxSync: pointer(diskSync),
			FxFileSize: pointer(diskFileSizeOf), FxLock: pointer(diskLock), FxUnlock: pointer(diskUnlock),
			FxCheckReservedLock: pointer(diskCheckReservedLock), FxFileControl: pointer(diskFileControl),
			FxSectorSize: pointer(diskSectorSize), FxDeviceCharacteristics: pointer(diskCharacteristics),
			FxShmMap: pointer(diskShmMap), FxShmLock: pointer(diskShmLock),
			FxShmBarrier: pointer(diskShmBarrier), FxShmUnmap: pointer(diskShmUnmap),
		}
		call, err := libc.CString("openDirectory")
		if err != nil {
			return err
		}
		openFolder = function[func(*libc.TLS, uintptr, uintptr) uintptr](
			at[sqlite3.Tsqlite3_vfs](system).FxGetSystemCall)(tls, system, call)
		if rc := function[func(*libc.TLS, uintptr, uintptr, uintptr) int32](
			at[sqlite3.Tsqlite3_vfs](system).FxSetSystemCall)(tls, system, call,
			pointer(diskOpenFolder)); rc != sqlite3.SQLITE_OK {
			return fmt.Errorf("setting a call of the system: %d", rc)
		}
		vfs := libc.Xcalloc(tls, 1, libc.Tsize_t(unsafe.Sizeof(sqlite3.Tsqlite3_vfs{})))
		*at[sqlite3.Tsqlite3_vfs](vfs) = *at[sqlite3.Tsqlite3_vfs](system)
		v := at[sqlite3.Tsqlite3_vfs](vfs)
		if v.FzName, err = libc.CString("recorded"); err != nil {
			return err
		}
		v.FpNext, v.FszOsFile = 0, v.FszOsFile+int32(diskFileSize)
		v.FxOpen, v.FxDelete = pointer(diskOpen), pointer(diskDelete)
		if rc := sqlite3.Xsqlite3_vfs_register(tls, vfs, 1); rc != sqlite3.SQLITE_OK {
			return fmt.Errorf("registering the VFS: %d", rc)
		}
		sqlite.OnRewrite(diskRewrite)
		return nil
	})
)

// at is what an address of SQLite's memory holds.
func at[T any](address uintptr) *T { return (*T)(*(*unsafe.Pointer)(unsafe.Pointer(&address))) }

// pointer is a function as SQLite's tables have it. The function must not be a closure.
func pointer(f any) uintptr { return (*[2]uintptr)(unsafe.Pointer(&f))[1] }

// function is the function that one of SQLite's tables has.
func function[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&struct{ uintptr }{p})) }

func opened(file uintptr) (*openFile, uintptr) {
	h, _ := diskHandles.Load(at[diskFile](file).handle)
	return h.(*openFile), file + diskFileSize
}

// ofSystem is the system's methods for a file.
func ofSystem(file uintptr) *sqlite3.Tsqlite3_io_methods {
	return at[sqlite3.Tsqlite3_io_methods](at[sqlite3.Tsqlite3_file](file).FpMethods)
}

func diskOpen(tls *libc.TLS, _, name, file uintptr, flags int32, outFlags uintptr) int32 {
	open := function[func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32](
		at[sqlite3.Tsqlite3_vfs](system).FxOpen)
	var path string
	if name != 0 {
		path = libc.GoString(name)
	}
	d := diskOf(path)
	if d == nil {
		return open(tls, system, name, file, flags, outFlags)
	}
	*at[diskFile](file) = diskFile{}
	if rc := open(tls, system, name, file+diskFileSize, flags, outFlags); rc != sqlite3.SQLITE_OK {
		return rc
	}
	lastHandleMu.Lock()
	lastHandle++
	handle := lastHandle
	lastHandleMu.Unlock()
	diskHandles.Store(handle, &openFile{disk: d, file: d.created(filepath.Base(path))})
	*at[diskFile](file) = diskFile{methods: diskMethods, handle: handle}
	return rc0
}

const rc0 = int32(sqlite3.SQLITE_OK)

func diskDelete(tls *libc.TLS, _, name uintptr, syncFolder int32) int32 {
	path := libc.GoString(name)
	d := diskOf(path)
	if d != nil {
		if d.fails() {
			return sqlite3.SQLITE_IOERR_DELETE
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			d.deleted(filepath.Base(path)) // before the sync of the folder
		}
	}
	return function[func(*libc.TLS, uintptr, uintptr, int32) int32](
		at[sqlite3.Tsqlite3_vfs](system).FxDelete)(tls, system, name, syncFolder)
}

// diskOpenFolder is called to sync the folder of the file.
func diskOpenFolder(tls *libc.TLS, name, fd uintptr) int32 {
	if d := diskOf(libc.GoString(name)); d != nil {
		d.record(change{kind: kindFolderSync})
	}
	return function[func(*libc.TLS, uintptr, uintptr) int32](openFolder)(tls, name, fd)
}

func diskClose(tls *libc.TLS, file uintptr) int32 {
	_, inner := opened(file)
	diskHandles.Delete(at[diskFile](file).handle)
	return function[func(*libc.TLS, uintptr) int32](ofSystem(inner).FxClose)(tls, inner)
}

func diskRead(tls *libc.TLS, file, buffer uintptr, n int32, offset int64) int32 {
	_, inner := opened(file)
	return function[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](
		ofSystem(inner).FxRead)(tls, inner, buffer, n, offset)
}

func diskWrite(tls *libc.TLS, file, buffer uintptr, n int32, offset int64) int32 {
	f, inner := opened(file)
	fails := f.disk.fails()
	if fails {
		n /= 2 // as far as it got
	}
	rc := function[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](
		ofSystem(inner).FxWrite)(tls, inner, buffer, n, offset)
	if rc == rc0 {
		f.disk.record(change{kind: kindWrite, file: f.file, offset: offset,
			data: slices.Clone(unsafe.Slice(at[byte](buffer), n))})
	}
	switch {
	case !fails:
		return rc
	case f.disk.full():
		return sqlite3.SQLITE_FULL
	}
	return sqlite3.SQLITE_IOERR_WRITE
}

func diskTruncate(tls *libc.TLS, file uintptr, size int64) int32 {
	f, inner := opened(file)
	if f.disk.fails() {
		return sqlite3.SQLITE_IOERR_TRUNCATE
	}
	f.disk.record(change{kind: kindTruncate, file: f.file, offset: size})
	return function[func(*libc.TLS, uintptr, int64) int32](
		ofSystem(inner).FxTruncate)(tls, inner, size)
}

// diskSync has the system sync a file only the first time: SQLite then syncs its folder too.
func diskSync(tls *libc.TLS, file uintptr, flags int32) int32 {
	f, inner := opened(file)
	fails := f.disk.fails()
	if fails || f.disk.lies {
		f.disk.record(change{kind: kindFailedSync, file: f.file})
	}
	switch {
	case fails:
		return sqlite3.SQLITE_IOERR_FSYNC
	case f.disk.lies:
		return rc0
	}
	f.disk.record(change{kind: kindSync, file: f.file})
	if f.synced {
		return rc0
	}
	f.synced = true
	return function[func(*libc.TLS, uintptr, int32) int32](ofSystem(inner).FxSync)(tls, inner, flags)
}

// diskRewrite records what the store does to a log without SQLite.
func diskRewrite(path string, data []byte, offset int64) {
	d := diskOf(path)
	if d == nil {
		return
	}
	c := change{kind: kindSync, file: d.created(filepath.Base(path))}
	if data != nil {
		c.kind, c.offset, c.data = kindWrite, offset, slices.Clone(data)
	} else if d.lies {
		c.kind = kindFailedSync
	}
	d.record(c)
}

func diskFileSizeOf(tls *libc.TLS, file, size uintptr) int32 {
	_, inner := opened(file)
	return function[func(*libc.TLS, uintptr, uintptr) int32](
		ofSystem(inner).FxFileSize)(tls, inner, size)
}

func diskLock(tls *libc.TLS, file uintptr, lock int32) int32 {
	_, inner := opened(file)
	return function[func(*libc.TLS, uintptr, int32) int32](ofSystem(inner).FxLock)(tls, inner, lock)
}

func diskUnlock(tls *libc.TLS, file uintptr, lock int32) int32 {
	_, inner := opened(file)
	return function[func(*libc.TLS, uintptr, int32) int32](ofSystem(inner).FxUnlock)(tls, inner, lock)
}

func diskCheckReservedLock(tls *libc.TLS, file, result uintptr) int32 {
	_, inner := opened(file)
	return function[func(*libc.TLS, uintptr, uintptr) int32](
		ofSystem(inner).FxCheckReservedLock)(tls, inner, result)
}

func diskFileControl(tls *libc.TLS, file uintptr, op int32, argument uintptr) int32 {
	_, inner := opened(file)
	return function[func(*libc.TLS, uintptr, int32, uintptr) int32](
		ofSystem(inner).FxFileControl)(tls, inner, op, argument)
}

func diskSectorSize(tls *libc.TLS, file uintptr) int32 {
	_, inner := opened(file)
	return function[func(*libc.TLS, uintptr) int32](ofSystem(inner).FxSectorSize)(tls, inner)
}

func diskCharacteristics(tls *libc.TLS, file uintptr) int32 {
	_, inner := opened(file)
	return function[func(*libc.TLS, uintptr) int32](
		ofSystem(inner).FxDeviceCharacteristics)(tls, inner)
}

func diskShmMap(tls *libc.TLS, file uintptr, page, size, extend int32, memory uintptr) int32 {
	_, inner := opened(file)
	return function[func(*libc.TLS, uintptr, int32, int32, int32, uintptr) int32](
		ofSystem(inner).FxShmMap)(tls, inner, page, size, extend, memory)
}

func diskShmLock(tls *libc.TLS, file uintptr, offset, n, flags int32) int32 {
	_, inner := opened(file)
	return function[func(*libc.TLS, uintptr, int32, int32, int32) int32](
		ofSystem(inner).FxShmLock)(tls, inner, offset, n, flags)
}

func diskShmBarrier(tls *libc.TLS, file uintptr) {
	_, inner := opened(file)
	function[func(*libc.TLS, uintptr)](ofSystem(inner).FxShmBarrier)(tls, inner)
}

func diskShmUnmap(tls *libc.TLS, file uintptr, remove int32) int32 {
	_, inner := opened(file)
	return function[func(*libc.TLS, uintptr, int32) int32](
		ofSystem(inner).FxShmUnmap)(tls, inner, remove)
}

// String says what happened, for a test that fails.
func (c change) String() string {
	kinds := [...]string{"write", "truncate", "sync", "failed sync", "create", "delete", "sync folder"}
	return strings.TrimSpace(fmt.Sprintf("%s %d %s %d+%d", kinds[c.kind], c.file, c.name, c.offset,
		len(c.data)))
}
