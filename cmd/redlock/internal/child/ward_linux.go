package child

import (
	"errors"

	"golang.org/x/sys/unix"
)

// signal signals the group. Its leader is nobody's child that we know of: once it was waited
// for and the group is empty, its number may be another group's. A pidfd stands for the
// leader's group even then, from Linux 6.9 on; before, the group's number has to do, and the
// time between two looks is too short for all numbers to be handed out.
func (w ward) signal(sig unix.Signal) error {
	const processGroup = 1 << 2 // PIDFD_SIGNAL_PROCESS_GROUP
	if w.pidfd >= 0 {
		err := unix.PidfdSendSignal(w.pidfd, sig, nil, processGroup)
		if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
			return err
		}
	}
	return unix.Kill(-w.group, sig)
}
