package child

import (
	"errors"

	"golang.org/x/sys/unix"
)

// signal signals the group. Its leader is not a child of the guard. When it was waited for and the
// group is empty, another group may get its number. From Linux 6.9 on, a pidfd stands for the leader's
// group even then. Before, the guard uses the group's number: the time between two checks is too short
// for the system to use up all numbers.
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
