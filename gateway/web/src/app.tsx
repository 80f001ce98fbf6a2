import { useCallback, useContext, useEffect, useRef, useState } from "preact/hooks";
import { openAlerts } from "./alerts";
import { ApiError, get, isSignedIn, signIn, signOut, whenSignedOut } from "./api";
import { CallerContext, useMay } from "./caller";
import { words } from "./format";
import { Icon, type IconName } from "./icons";
import { useData, useEvents } from "./live";
import { AlertsPage } from "./pages/alerts";
import { AuditPage } from "./pages/audit";
import { BackupPage } from "./pages/backup";
import { BackupsPage } from "./pages/backups";
import { ExecutionPage } from "./pages/execution";
import { JobPage } from "./pages/job";
import { KeysPage } from "./pages/keys";
import { OffsitePage } from "./pages/offsite";
import { OverviewPage } from "./pages/overview";
import { PlanPage } from "./pages/plan";
import { PlanEditPage } from "./pages/plan_edit";
import { PlansPage } from "./pages/plans";
import { SchedulesPage } from "./pages/schedules";
import { type Route, to, useRoute } from "./router";
import type { Alert, Caller } from "./types";
import { Button, Empty, LinkButton, Loading, PageHead, Problem, Sayings, say, TextField, useTask } from "./ui";

type AlertEvent = { sequence: number; kind: string; alert: Alert | null };

export function App() {
  const [caller, setCaller] = useState<Caller | null>();
  const [problem, setProblem] = useState<ApiError>();
  const enter = useCallback(async () => {
    try {
      setCaller((await isSignedIn()) ? await get<Caller>("/api/caller") : null);
      setProblem(undefined);
    } catch (error) {
      // A session that is no longer good leads to the sign-in by itself.
      if (!(error instanceof ApiError) || error.status !== 401) setProblem(error as ApiError);
    }
  }, []);
  useEffect(() => {
    whenSignedOut(() => {
      setCaller(null);
      setProblem(undefined);
    });
    void enter();
  }, [enter]);
  // Who waits for a server that starts anew need not ask for it.
  useEffect(() => {
    if (!problem) return;
    const timer = window.setInterval(enter, 3000);
    return () => clearInterval(timer);
  }, [problem, enter]);
  if (problem) {
    return (
      <main class="sign-in">
        <Problem error={problem} retry={enter} />
      </main>
    );
  }
  if (caller === undefined) return <Loading />;
  if (caller === null) return <SignIn enter={enter} />;
  return (
    <CallerContext.Provider value={caller}>
      <Shell />
    </CallerContext.Provider>
  );
}

function Mark() {
  return (
    <span class="mark">
      <svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" focusable="false">
        <rect width="32" height="32" rx="8" />
        <path d="M8 22V11l8 6.5L24 11v11" />
      </svg>
      <span>
        Mosaajii <b>Backup</b>
      </span>
    </span>
  );
}

function SignIn({ enter }: { enter: () => Promise<void> }) {
  const [token, setToken] = useState("");
  const task = useTask(async () => {
    await signIn(token.trim());
    setToken("");
    await enter();
  });
  useEffect(() => {
    document.title = "Sign in · Mosaajii Backup";
  }, []);
  return (
    <main class="sign-in">
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          void task.run();
        }}
      >
        <Mark />
        <h1>Sign in</h1>
        <input type="text" name="username" autocomplete="username" value="mosaajii" readOnly hidden />
        <TextField
          label="Access token"
          hint="The first administrator's token lies in the file admin.token of the server's home; mosaajii token create makes others."
          type="password"
          name="token"
          autocomplete="current-password"
          spellcheck={false}
          required
          value={token}
          onText={setToken}
        />
        {task.error && (
          <div class="note bad" role="alert">
            <Icon name="alert" />
            <p>{task.error.status === 401 ? "This token is not valid: it is mistyped, revoked or expired." : task.error.message}</p>
          </div>
        )}
        <Button type="submit" kind="main" busy={task.busy} disabled={!token.trim()}>
          Sign in
        </Button>
      </form>
    </main>
  );
}

type Entry = { name: string; icon: IconName; label: string; call?: string };

const entries: Entry[] = [
  { name: "overview", icon: "overview", label: "Overview" },
  { name: "backups", icon: "backups", label: "Backups" },
  { name: "schedules", icon: "schedules", label: "Schedules" },
  { name: "alerts", icon: "alerts", label: "Alerts" },
  { name: "offsite", icon: "offsite", label: "Offsite" },
  { name: "recovery", icon: "recovery", label: "Recovery" },
  { name: "keys", icon: "keys", label: "Keys", call: "AdminService.ListKeys" },
  { name: "audit", icon: "audit", label: "Audit", call: "AdminService.ListAuditEntries" },
];

function Shell() {
  const route = useRoute();
  const may = useMay();
  const caller = useContext(CallerContext);
  const [open, setOpen] = useState(false);
  const main = useRef<HTMLElement>(null);
  const [news, setNews] = useState(0);
  const alerts = useData("open alerts", openAlerts, 60000);
  const stream = useEvents<AlertEvent>(
    alerts.data ? "/api/backups/alerts/watch" : null,
    (event) => {
      if (event.kind === "HEARTBEAT") return;
      setNews((before) => before + 1);
      alerts.soon();
    },
    () => false,
  );
  const place = route.path.join("/");
  const [section = "overview"] = route.path;
  const first = useRef(true);
  // A new page begins at its top, for eyes and for screen readers.
  useEffect(() => {
    setOpen(false);
    if (!first.current) {
      scrollTo(0, 0);
      main.current?.querySelector("h1")?.focus({ preventScroll: true });
    }
    first.current = false;
  }, [place]);
  const waiting = alerts.data?.length ?? 0;
  return (
    <div class="shell">
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to the content
      </button>
      <header class="top">
        <Mark />
        <Button
          kind="quiet"
          icon={open ? "close" : "menu"}
          aria-label={open ? "Close the menu" : "Open the menu"}
          aria-expanded={open}
          onClick={() => setOpen(!open)}
        />
      </header>
      <aside class={open ? "side open" : "side"}>
        <Mark />
        <nav aria-label="Main">
          {entries
            .filter((entry) => !entry.call || may(entry.call))
            .map((entry) => (
              <a key={entry.name} href={to(entry.name)} aria-current={section === entry.name ? "page" : undefined}>
                <Icon name={entry.icon} />
                <span>{entry.label}</span>
                {entry.name === "alerts" && waiting > 0 && (
                  <span class="count">
                    {waiting}
                    <span class="unseen"> not acknowledged</span>
                  </span>
                )}
              </a>
            ))}
        </nav>
        <div class="who">
          <Icon name="person" />
          <div>
            <p class="strong">{caller.name}</p>
            <p class="muted">{words(caller.role)}</p>
          </div>
          <Button
            kind="quiet"
            icon="signOut"
            aria-label="Sign out"
            title="Sign out"
            onClick={() =>
              void signOut().then(
                () => location.reload(),
                (error: ApiError) => say(error.message),
              )
            }
          />
        </div>
      </aside>
      <main ref={main} tabIndex={-1}>
        {alerts.data && stream === "cut" && (
          <p class="cut" role="status">
            <span class="spinner" aria-hidden="true" /> Not connected. What you see may be out of date; the page connects again by itself.
          </p>
        )}
        <Place key={place} route={route} news={news} />
      </main>
      <Sayings />
    </div>
  );
}

function Place({ route, news }: { route: Route; news: number }) {
  const [section = "overview", id, sub] = route.path;
  switch (section) {
    case "overview":
      return <OverviewPage news={news} />;
    case "backups":
      return id ? <BackupPage id={id} query={route.query} /> : <BackupsPage query={route.query} />;
    case "jobs":
      if (id) return <JobPage id={id} />;
      break;
    case "schedules":
      return <SchedulesPage />;
    case "alerts":
      return <AlertsPage query={route.query} news={news} />;
    case "offsite":
      return <OffsitePage />;
    case "recovery":
      if (!id) return <PlansPage />;
      if (id === "new") return <PlanEditPage />;
      if (id === "runs" && sub) return <ExecutionPage id={sub} />;
      return sub === "edit" ? <PlanEditPage id={id} /> : <PlanPage id={id} />;
    case "keys":
      return <KeysPage />;
    case "audit":
      return <AuditPage query={route.query} />;
  }
  return (
    <>
      <PageHead title="Nothing here" />
      <Empty icon="overview" title="There is no page at this address.">
        <LinkButton href={to("overview")}>To the overview</LinkButton>
      </Empty>
    </>
  );
}
