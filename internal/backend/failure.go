package backend

// A DeviceError is the panic, or Sync's error, of a device that failed: its driver refused a call, or a kernel that
// was issued earlier went wrong. The work since the last wait is lost.
type DeviceError struct {
	Device string // "cuda:0"
	Kernel string // the kernel, as "norm/rmsnorm_forward_bf16", empty if it is not known
	Cause  error  // the driver's own error
}

func (e *DeviceError) Error() string {
	s := e.Device + ": "
	if e.Kernel != "" {
		s += "kernel " + e.Kernel + ": "
	}
	return s + e.Cause.Error()
}

// Unwrap is the driver's error.
func (e *DeviceError) Unwrap() error { return e.Cause }
