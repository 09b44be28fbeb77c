# Shortens spin -t -p -g: of every step the process, the condition, and what it changed.
function flush() {
	if (step == "") return
	printf "%3d %-8s %2d  %s\n", step, kind, id, text
	changes = ""
	for (k = 1; k <= names; k++)
		if (now[name[k]] != old[name[k]]) {
			changes = changes "  " name[k] " = " now[name[k]]
			old[name[k]] = now[name[k]]
		}
	if (changes != "") print "                  " changes
}
FNR == NR { line[FNR] = $0; next }
match($0, /proc +[0-9]+ \([a-z]+/) {
	if ($1 + 0 != step) {
		flush()
		step = $1 + 0; id = $3; kind = $4; gsub(/[(:].*|^\(/, "", kind); sub(/\(/, "", $4); split($4, part, ":"); kind = part[1]
		split($0, at, "model.pml:"); text = line[at[2] + 0]
		sub(/^[ \t]*(end:)?[ \t]*:: d_step \{ /, "", text); sub(/ ->.*/, "", text)
	}
	next
}
/^\t\t[a-z]+(\[[0-9]+\])? = / && $1 !~ /^(i|j|yes)$/ {
	if (!($1 in now)) { name[++names] = $1; old[$1] = ($3 == "UNSENT" || $3 == "NONE" ? $3 : "0") }
	now[$1] = $3
}
END { flush() }
