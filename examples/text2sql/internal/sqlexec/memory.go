package sqlexec

import (
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// image is a database as the bytes of its file, in SQLite's memory, shared by
// all connections to it and written by none.
type image struct {
	data uintptr
	size int64
}

// buildImage runs a script on an empty database and takes its bytes.
func buildImage(script string) (image, error) {
	c, err := openConn(":memory:")
	if err != nil {
		return image{}, err
	}
	defer c.close()
	if err := c.exec("BEGIN;\n" + script + "\n;COMMIT"); err != nil {
		return image{}, err
	}
	main, err := libc.CString("main")
	if err != nil {
		return image{}, err
	}
	defer libc.Xfree(c.tls, main)
	size := c.tls.Alloc(8)
	defer c.tls.Free(8)
	data := sqlite3.Xsqlite3_serialize(c.tls, c.db, main, size, 0)
	if data == 0 {
		return image{}, c.failure(sqlite3.SQLITE_NOMEM)
	}
	return image{data: data, size: *(*int64)(pointer(size))}, nil
}

// open makes a connection to the image.
func (m image) open() (*conn, error) {
	c, err := openConn(":memory:")
	if err != nil {
		return nil, err
	}
	main, err := libc.CString("main")
	if err != nil {
		c.close()
		return nil, err
	}
	defer libc.Xfree(c.tls, main)
	rc := sqlite3.Xsqlite3_deserialize(c.tls, c.db, main, m.data, m.size, m.size, sqlite3.SQLITE_DESERIALIZE_READONLY)
	if rc != sqlite3.SQLITE_OK {
		err := c.failure(rc)
		c.close()
		return nil, err
	}
	return c, nil
}

// free returns the memory; no connection to the image may be left.
func (m image) free() {
	tls := libc.NewTLS()
	defer tls.Close()
	sqlite3.Xsqlite3_free(tls, m.data)
}

// pointer makes a pointer of an address in C memory, which Go neither moves
// nor frees.
func pointer(address uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&address)) }

// at returns the byte at an address in C memory.
func at(address uintptr) byte { return *(*byte)(pointer(address)) }

// word returns the address that is stored at an address in C memory.
func word(address uintptr) uintptr { return *(*uintptr)(pointer(address)) }

// cBytes views n bytes of C memory, valid until the next call that may move it.
func cBytes(address uintptr, n int32) []byte {
	if address == 0 || n <= 0 {
		return nil
	}
	return unsafe.Slice((*byte)(pointer(address)), n)
}
