package redigo

import "testing"

func TestOnlyWhatIsSaidOfCLIENTMeansNothingForALock(t *testing.T) {
	for text, want := range map[string]bool{
		"ERR unknown subcommand 'SETINFO'. Try CLIENT HELP.":                                           true,
		"ERR Unknown subcommand or wrong number of arguments for 'SETINFO'. Try CLIENT HELP.":          true,
		"ERR Syntax error, try CLIENT (LIST | KILL | GETNAME | SETNAME | PAUSE | REPLY)":               true,
		"ERR unknown command 'CLIENT', with args beginning with: 'SETINFO' 'LIB-NAME' ":                true,
		"ERR unknown command `client`, with args beginning with: `setinfo`, ":                          true,
		"NOPERM User worker has no permissions to run the 'client|setname' command":                    true,
		"NOPERM this user has no permissions to run the 'client' command or its subcommand":            true,
		"ERR DB index is out of range":                                                                 false,
		"ERR unknown command 'SELECT', with args beginning with: '3' ":                                 false,
		"ERR unknown command 'AUTH', with args beginning with: 'client' 'try CLIENT' ":                 false,
		"NOPERM User client has no permissions to run the 'select' command":                            false,
		"NOAUTH Authentication required.":                                                              false,
		"WRONGPASS invalid username-password pair or user is disabled.":                                false,
		"ERR max number of clients reached":                                                            false,
		"ERR SELECT is not allowed in cluster mode":                                                    false,
		"NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <prot": false,
	} {
		if got := aboutClient.MatchString(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
