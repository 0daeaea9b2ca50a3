package nodetest

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"unsafe"
)

const module = "github.com/ostraka/ostraka/"

// heldLocks names the locks that are held below a value: after a step was cut short in the middle, none may be, or the next that asks for it waits for ever. In a node
// on a shared store that is how a tenure ends.
func heldLocks(of any) []string {
	w := &lockWalk{seen: map[unsafe.Pointer]bool{}}
	w.value(reflect.ValueOf(of), "node")
	return w.held
}

type lockWalk struct {
	seen map[unsafe.Pointer]bool
	held []string
}

func (w *lockWalk) value(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || w.seen[v.UnsafePointer()] || !ours(v.Type().Elem()) {
			return
		}
		w.seen[v.UnsafePointer()] = true
		w.value(v.Elem(), path)
	case reflect.Interface:
		if !v.IsNil() {
			w.value(v.Elem(), path)
		}
	case reflect.Struct:
		w.fields(v, path)
	case reflect.Map:
		for it := v.MapRange(); mayHoldLocks(v.Type().Elem()) && it.Next(); {
			w.value(it.Value(), path+"[]")
		}
	case reflect.Slice, reflect.Array:
		for i := 0; mayHoldLocks(v.Type().Elem()) && i < v.Len(); i++ {
			w.value(v.Index(i), path+"[]")
		}
	}
}

func (w *lockWalk) fields(v reflect.Value, path string) {
	if !ours(v.Type()) {
		return
	}
	for i := range v.NumField() {
		f, name := v.Field(i), path+"."+v.Type().Field(i).Name
		if !f.CanAddr() {
			w.value(f, name)
			continue
		}
		switch at := f.Addr().UnsafePointer(); f.Type() {
		case reflect.TypeFor[sync.Mutex]():
			w.try((*sync.Mutex)(at), name)
		case reflect.TypeFor[sync.RWMutex]():
			w.try((*sync.RWMutex)(at), name)
		default:
			w.value(reflect.NewAt(f.Type(), at).Elem(), name)
		}
	}
}

func (w *lockWalk) try(l interface {
	TryLock() bool
	Unlock()
}, name string) {
	if !l.TryLock() {
		w.held = append(w.held, fmt.Sprintf("%s is held", name))
		return
	}
	l.Unlock()
}

// ours are types of this module's rooms but the one of tests.
func ours(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return true
	}
	return strings.HasPrefix(t.PkgPath(), module) && !strings.HasSuffix(t.PkgPath(), "nodetest")
}

func mayHoldLocks(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice, reflect.Array:
		return true
	case reflect.Struct:
		return ours(t)
	}
	return false
}
