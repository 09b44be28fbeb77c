package main

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// browser runs Chromium on a page and returns its stdout.
func browser(t *testing.T, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, path, append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--user-data-dir=" + t.TempDir(),
	}, args...)...)
	command.WaitDelay = 5 * time.Second // its children may keep the pipes
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	if err := command.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		t.Fatalf("%v\n%s", err, said.String())
	}
	return out.String()
}

// dom returns the page as it is after its script, and then another one, have run.
func dom(t *testing.T, page, script string, args ...string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	probe := strings.TrimSuffix(page, ".html") + "-probe.html"
	text = bytes.Replace(text, []byte("</body>"), []byte("<script>\n"+script+"\n</script></body>"), 1)
	if err := os.WriteFile(probe, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return browser(t, append(args, "--virtual-time-budget=2000", "--dump-dom", "file://"+probe)...)
}

// count counts elements that the script has made: their attributes have values, which the
// text of the script has not.
func count(dom, pattern string) int { return len(regexp.MustCompile(pattern).FindAllString(dom, -1)) }

func want(t *testing.T, dom string, counts map[string]int) {
	t.Helper()
	for pattern, n := range counts {
		if got := count(dom, pattern); got != n {
			t.Errorf("%d of %s, want %d", got, pattern, n)
		}
	}
}

func TestThePageOfASoundHistoryShowsItsHoldsAndFaults(t *testing.T) {
	_, _, page := replay(t, sound())
	got := dom(t, page, "")
	want(t, got, map[string]int{
		// Each of four holds on the lane of the lock and on that of its client.
		`<rect class="hold a0" [^>]*data-try="\d+"`:                                   4,
		`<rect class="hold a3" [^>]*data-try="\d+"`:                                   4,
		`<rect class="lost loss" [^>]*data-try="2"`:                                   2,
		`<rect class="violation red" [^>]*data-try="\d+"`:                             0,
		`<rect class="wait" [^>]*data-try="\d+"`:                                      4,
		`<circle class="fence" [^>]*data-late="\d+"`:                                  1,
		`<rect class="fault shade f-stop" [^>]*data-fault="0"`:                        1, // one client of the process
		`<rect class="fault shade f-down" [^>]*data-fault="1"`:                        2, // two servers
		`<rect class="fault shade f-net" [^>]*data-fault="2"`:                         2, // the client and the server
		`<tr class="holds">`:                                                          6,
		`<h1>Never two holders</h1>`:                                                  1,
		`<text class="label" [^>]*>(1 go-redis pipelined|2 redigo|A|server 3)</text>`: 4,
	})
	if strings.Contains(got, "http://") || strings.Contains(got, "https://") {
		t.Error("the page leads elsewhere")
	}
}

func TestThePageShowsWhereAClaimIsBroken(t *testing.T) {
	h := sound()
	h.hold(1, 20*ms, 40*ms, 150)
	_, _, page := replay(t, h)
	want(t, dom(t, page, ""), map[string]int{
		`<rect class="violation red" [^>]*data-try="[04]"`: 4, // two holds, on two lanes each
		`<rect class="red shade" x="[\d.]+"`:               1,
		`<tr class="violated">`:                            1,
		`<button type="button" class="mark" data-at="20"`:  1,
		`<h1>Two held the lock at once</h1>`:               1,
		`<header class="broken">`:                          1,
	})
}

func TestThePageShowsHoldsOfAProcessThatWasKilledUntilTheirDeadline(t *testing.T) {
	h := sound()
	late := &h.Tries[3]
	late.Killed, late.End, late.Unlock, late.Unlocked = 350*ms, late.Until, 352*ms, late.Until
	h.Faults = append(h.Faults, Fault{Kind: die, Process: 1, Begin: 350 * ms, End: 700 * ms, Fired: true, Felt: 1})
	_, _, page := replay(t, h)
	got := dom(t, page, `
		chart.dispatchEvent(new KeyboardEvent("keydown", { key: "p", bubbles: true }));
		const number = (e, name) => +e.getAttribute(name);
		const orphans = [...lanes.querySelectorAll(".orphan")], label = [...lanes.querySelectorAll("text.on")].find(e => e.textContent === "process killed");
		document.body.setAttribute("data-readable", orphans.every(b => number(label, "x") > number(b, "x") + number(b, "width")));
	`)
	want(t, got, map[string]int{
		`<rect class="orphan a3" [^>]*data-try="3"`:            2, // on the lanes of the lock and of the client
		`<rect class="fault shade f-down" [^>]*data-fault="3"`: 1,
		`<text class="on" [^>]*>process killed</text>`:         1,
		`killed at 0.350 s: held on until its deadline`:        1, // that is where p leads
		`data-readable="true"`:                                 1, // nothing lies over the name of the fault
		// The client that holds it, and the lock.
		`<text class="in a3" [^>]*>2</text>`: 2,
		`<text class="in a3" [^>]*>A</text>`: 2,
	})
}

func TestThePageShowsReadersSideBySideAndSeveralLocksOnTheLaneOfEach(t *testing.T) {
	_, _, page := replay(t, shared())
	got := dom(t, page, `
		const drawn = i => [...lanes.querySelectorAll('.hold[data-try="' + i + '"]')], y = e => +e.getAttribute("y");
		document.body.setAttribute("data-side", y(drawn(0)[0]) !== y(drawn(1)[0]));
		document.body.setAttribute("data-after", y(drawn(0)[0]) === y(drawn(4)[0]));
		document.body.setAttribute("data-said", describe(tries[6]).includes("a reader since 0.180 s"));
		document.body.setAttribute("data-all", describe(tries[8]).startsWith("C, A · "));
	`)
	want(t, got, map[string]int{
		`<rect class="hold a\d reader" [^>]*data-try="\d+"`: 9, // four on the lanes of the lock and the client, and the end of one that was downgraded
		`<rect class="hold a0" [^>]*data-try="[38]"`:        6, // on those of both locks and of the client
		`<rect class="hold a0" [^>]*data-try="6"`:           2,
		`<rect class="violation red" [^>]*data-try="\d+"`:   0,
		`data-(side|after|said|all)="true"`:                 4,
	})
	h := shared()
	h.read(3, 110*ms, 115*ms, 200, "B")
	_, _, page = replay(t, h)
	want(t, dom(t, page, ""), map[string]int{
		`<rect class="violation red" [^>]*data-try="3"`: 3,
		`<rect class="violation red" [^>]*data-try="9"`: 2,
	})
}

func TestThePageShowsALaneForEachSlotAndHowManyPermitsWereGranted(t *testing.T) {
	_, out, page := replay(t, permits())
	if !strings.Contains(out, "0 of leaders; 7 permits\n") {
		t.Error(out)
	}
	got := dom(t, page, `
		const y = i => lanes.querySelector('.hold[data-try="' + i + '"]').getAttribute("y");
		document.body.setAttribute("data-slots", new Set([0, 1, 2, 3].map(y)).size === 4 && y(0) === y(6) && y(1) === y(4));
		document.body.setAttribute("data-said", describe(tries[7]).startsWith("semaphore A/0, semaphore A/1 · client 3"));
	`)
	want(t, got, map[string]int{
		`<text class="label" [^>]*>semaphore A/[0123]</text>`:    4,
		`<rect class="orphan a0" [^>]*data-try="5"`:              2,
		`data-(slots|said)="true"`:                               2,
		`<caption>Grants: 0 of one lock, .*7 permits.</caption>`: 1,
	})
	h := permits()
	h.permit(3, 15*ms, 18*ms, 150, 0, 4)
	_, _, page = replay(t, h)
	want(t, dom(t, page, ""), map[string]int{
		`<rect class="violation red" [^>]*data-try="[08]"`: 4,
		`<h1>Two held a slot at once</h1>`:                 1,
	})
}

// A page is used with keys, the wheel and the buttons; it says what it shows.
func TestThePageCanBeMovedAndTellsWhatItShows(t *testing.T) {
	_, _, page := replay(t, sound())
	got := dom(t, page, `
		const key = k => chart.dispatchEvent(new KeyboardEvent("keydown", { key: k, bubbles: true }));
		const note = (name, value) => document.body.setAttribute("data-" + name, value);
		key("n"); note("loss", details.textContent.includes("lock expired"));
		key("."); note("after", details.textContent.includes("token 400"));
		key(","); key(","); note("before", details.textContent.includes("token 200"));
		key("0"); const all = view.to - view.from;
		key("+"); note("zoomed", Math.abs((view.to - view.from) / all - .5) < .01);
		key("ArrowRight"); note("moved", view.from > all * .3);
		key("0");
		lanes.dispatchEvent(new WheelEvent("wheel", { deltaY: -100, clientX: 500, cancelable: true }));
		note("wheel", view.to - view.from < all);
		document.querySelector("[data-do=all]").click(); note("button", view.to - view.from === all);
		note("fits", document.documentElement.scrollWidth <= innerWidth);
		const bar = lanes.querySelector(".hold");
		bar.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, clientX: 300, clientY: 300 }));
		note("hover", !tip.hidden && tip.textContent.includes("token 100"));
	`, "--window-size=500,900") // as narrow as a window of this browser can be
	for _, name := range []string{"loss", "after", "before", "zoomed", "moved", "wheel", "button", "fits", "hover"} {
		if !strings.Contains(got, `data-`+name+`="true"`) {
			t.Errorf("%s: it is not so", name)
		}
	}
}

func TestThePageIsDarkWhereTheReaderLikesItDark(t *testing.T) {
	_, _, page := replay(t, sound())
	light, dark := brightness(t, page), brightness(t, page, "--blink-settings=preferredColorScheme=0")
	if light < 200 || dark > 60 {
		t.Errorf("brightness %d, and %d in the dark: want above 200 and below 60 of 255", light, dark)
	}
}

// brightness is that of the typical pixel of a screenshot.
func brightness(t *testing.T, page string, args ...string) int {
	t.Helper()
	shot := filepath.Join(t.TempDir(), "shot.png")
	browser(t, append(args, "--window-size=1200,900", "--screenshot="+shot, "file://"+page)...)
	f, err := os.Open(shot)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	picture, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return median(picture)
}

func median(picture image.Image) int {
	var counts [256]int
	total := 0
	b := picture.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y += 3 {
		for x := b.Min.X; x < b.Max.X; x += 3 {
			_, g, _, _ := picture.At(x, y).RGBA()
			counts[g>>8]++
			total++
		}
	}
	for level, seen := 0, 0; level < 256; level++ {
		if seen += counts[level]; 2*seen >= total {
			return level
		}
	}
	return 255
}
