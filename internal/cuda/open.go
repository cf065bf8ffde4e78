package cuda

import (
	"errors"
	"fmt"
)

// Open is the i-th card of NVIDIA's driver. The error is one line that says what is missing and what to do.
func Open(i int) (*Backend, error) {
	d, err := systemDriver()
	if err != nil {
		return nil, err
	}
	return open(d, i)
}

func open(d Driver, i int) (*Backend, error) {
	n, err := d.DeviceCount()
	switch {
	case err != nil:
		return nil, err
	case n == 0:
		return nil, errors.New("NVIDIA's driver finds no card that this process may use (is CUDA_VISIBLE_DEVICES set?)")
	case i < 0 || i >= n:
		return nil, fmt.Errorf("there is no card %d; cards have the numbers 0 to %d", i, n-1)
	}
	return newBackend(d, i, fmt.Sprintf("cuda:%d", i))
}

// A Card is a card as the driver describes it before it is opened.
type Card struct {
	Properties
	Driver string // the version of CUDA that the driver is for: "12.4"
}

// Cards lists the cards of NVIDIA's driver. The error says why there are none.
func Cards() ([]Card, error) {
	d, err := systemDriver()
	if err != nil {
		return nil, err
	}
	return cards(d)
}

func cards(d Driver) ([]Card, error) {
	version, err := d.Version()
	if err != nil {
		return nil, err
	}
	n, err := d.DeviceCount()
	if err != nil {
		return nil, err
	}
	list := make([]Card, n)
	for i := range list {
		list[i].Driver = versionText(version)
		if list[i].Properties, err = d.Properties(i); err != nil {
			return nil, fmt.Errorf("card %d: %w", i, err)
		}
	}
	return list, nil
}

// versionText is the driver's number as people write it: 12040 is 12.4.
func versionText(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }
