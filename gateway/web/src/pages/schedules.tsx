import { useState } from "preact/hooks";
import { get, list, post, put, remove, sentence } from "../api";
import { useMay } from "../caller";
import { words, zone } from "../format";
import { useData } from "../live";
import { to } from "../router";
import { type BackupType, backupTypes, type Schedule } from "../types";
import {
  Badge,
  Button,
  Card,
  Check,
  Code,
  Confirm,
  Dialog,
  Empty,
  Loading,
  PageHead,
  Pager,
  Problem,
  Select,
  TextField,
  usePages,
  useTask,
  When,
} from "../ui";

type Draft = { name: string; cron: string; timeZone: string; type: BackupType; catchUp: boolean; retentionDays: string };
type Suggestion = { schedule: Schedule; reason: string; confidence: number };

const usual: [string, string][] = [
  ["*/15 * * * *", "Every 15 minutes"],
  ["@hourly", "Every hour"],
  ["30 2 * * *", "Every night at 2:30"],
  ["0 3 * * 0", "Sundays at 3:00"],
  ["", "As I write it"],
];

export function SchedulesPage() {
  const may = useMay();
  const pages = usePages();
  const [draft, setDraft] = useState<Draft>();
  const [suggesting, setSuggesting] = useState(false);
  const asked = { pageSize: 50, pageToken: pages.token };
  const schedules = useData(`schedules ${pages.token}`, (signal) => list<Schedule>("/api/schedules", asked, signal), 30000);
  const fresh: Draft = { name: "", cron: "30 2 * * *", timeZone: zone, type: "FULL", catchUp: true, retentionDays: "" };
  const edit = may("BackupService.CreateSchedule") && !schedules.error?.absent;
  return (
    <>
      <PageHead title="Schedules">
        {edit && <Button onClick={() => setSuggesting(true)}>Suggest</Button>}
        {edit && (
          <Button kind="main" icon="plus" onClick={() => setDraft(fresh)}>
            New schedule
          </Button>
        )}
      </PageHead>
      {schedules.error && !schedules.data && (
        <Card>
          <Problem error={schedules.error} what="Scheduling" retry={schedules.reload} />
        </Card>
      )}
      {schedules.loading && !schedules.data && <Loading />}
      {schedules.data?.items.length === 0 && (
        <Card>
          <Empty icon="schedules" title="Nothing is backed up by itself yet.">
            {edit
              ? "Suggest proposes schedules for what is configured here; New schedule makes one of your own."
              : "An administrator can make a schedule."}
          </Empty>
        </Card>
      )}
      <div class="sources">
        {schedules.data?.items.map((schedule) => (
          <One key={schedule.id} schedule={schedule} reload={schedules.reload} />
        ))}
      </div>
      <Pager pages={pages} next={schedules.data?.next ?? ""} shown={schedules.data?.items.length ?? 0} />
      {draft && <Edit draft={draft} onClose={() => setDraft(undefined)} onMade={schedules.reload} />}
      {suggesting && <Suggest onClose={() => setSuggesting(false)} onMade={schedules.reload} />}
    </>
  );
}

function One({ schedule, reload }: { schedule: Schedule; reload: () => void }) {
  const may = useMay();
  const [deleting, setDeleting] = useState(false);
  const [editing, setEditing] = useState(false);
  const path = `/api/schedules/${encodeURIComponent(schedule.id)}`;
  const pause = useTask(async () => {
    await put(path, { ...schedule, paused: !schedule.paused });
    reload();
  });
  return (
    <Card class="source">
      <header>
        <h2>{schedule.name}</h2>
        {schedule.paused ? <Badge word="PAUSED" /> : <Badge word="ACTIVE" />}
      </header>
      <p class="muted">
        {words(schedule.backup?.type ?? "FULL")} · <Code>{schedule.cron}</Code> {schedule.timeZone || "UTC"}
      </p>
      <p class="big">
        {schedule.paused ? "Paused" : schedule.nextRuns[0] ? <When time={schedule.nextRuns[0]} relative /> : "No run to come"}
      </p>
      {!schedule.paused && schedule.nextRuns.length > 0 && (
        <ol class="runs" aria-label="Next runs">
          {schedule.nextRuns.map((run) => (
            <li key={run}>
              <When time={run} />
            </li>
          ))}
        </ol>
      )}
      <p class="muted">
        Last run <When time={schedule.lastRunAt} relative />
        {schedule.lastBackupId && (
          <>
            {" · "}
            <a href={to("backups", schedule.lastBackupId)}>its backup</a>
          </>
        )}
      </p>
      {pause.error && <Problem error={pause.error} />}
      {may("BackupService.UpdateSchedule") && (
        <div class="actions">
          <Button icon={schedule.paused ? "play" : "pause"} busy={pause.busy} onClick={() => void pause.run()}>
            {schedule.paused ? "Resume" : "Pause"}
          </Button>
          <Button aria-label={`Change ${schedule.name}`} onClick={() => setEditing(true)}>
            Change
          </Button>
          {may("BackupService.DeleteSchedule") && (
            <Button kind="quiet" icon="trash" aria-label={`Delete ${schedule.name}`} title="Delete" onClick={() => setDeleting(true)} />
          )}
        </div>
      )}
      {editing && <Edit draft={draftOf(schedule)} schedule={schedule} onClose={() => setEditing(false)} onMade={reload} />}
      {deleting && (
        <Confirm
          title={`Delete the schedule ${schedule.name}?`}
          action="Delete it"
          danger
          onClose={() => setDeleting(false)}
          act={async () => {
            const said = await remove(path);
            reload();
            return said;
          }}
        >
          <p>Its backups stay as long as they are to be kept; no new ones are taken.</p>
        </Confirm>
      )}
    </Card>
  );
}

function draftOf(schedule: Schedule): Draft {
  const { name, cron, timeZone, catchUp, backup } = schedule;
  return { name, cron, timeZone, catchUp, type: backup?.type ?? "FULL", retentionDays: String(backup?.retentionDays || "") };
}

// A new schedule, or what is to be another way in one that there is: all else stays as it is in that.
function Edit({ draft: first, schedule, onClose, onMade }: { draft: Draft; schedule?: Schedule; onClose: () => void; onMade: () => void }) {
  const [draft, setDraft] = useState(first);
  const [own, setOwn] = useState(!usual.some(([cron]) => cron === first.cron));
  const set = (part: Partial<Draft>) => setDraft({ ...draft, ...part });
  const task = useTask(async () => {
    const asked = { name: draft.name.trim(), cron: draft.cron.trim(), timeZone: draft.timeZone.trim(), catchUp: draft.catchUp };
    const days = draft.retentionDays ? { retentionDays: Number(draft.retentionDays) } : {};
    if (schedule) {
      const { retentionDays: _, ...backup } = schedule.backup ?? {};
      await put(`/api/schedules/${encodeURIComponent(schedule.id)}`, {
        ...schedule,
        ...asked,
        backup: { ...backup, type: draft.type, ...days },
      });
    } else await post("/api/schedules", { ...asked, overlap: "SKIP", backup: { type: draft.type, ...days } });
    onMade();
    onClose();
  });
  return (
    <Dialog title={schedule ? `Change ${schedule.name}` : "New schedule"} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void task.run();
        }}
      >
        <TextField label="Name" value={draft.name} onText={(name) => set({ name })} required maxlength={200} />
        <Select label="What" value={draft.type} options={backupTypes.map((one) => [one, words(one)])} onPick={(type) => set({ type })} />
        <Select
          label="When"
          value={own ? "" : draft.cron}
          options={usual}
          onPick={(cron) => {
            setOwn(cron === "");
            if (cron) set({ cron });
          }}
        />
        {own && (
          <TextField
            label="Cron expression"
            value={draft.cron}
            onText={(cron) => set({ cron })}
            required
            hint="Minute, hour, day of month, month, day of week."
          />
        )}
        <div class="pair">
          <TextField label="Time zone" value={draft.timeZone} onText={(timeZone) => set({ timeZone })} placeholder="UTC" />
          <TextField
            label="Keep for days"
            type="number"
            min={1}
            max={36500}
            value={draft.retentionDays}
            onText={(retentionDays) => set({ retentionDays })}
            placeholder="As configured"
          />
        </div>
        <Check
          label="Make up for runs that were missed"
          hint="One run for all that were due while the server was away."
          checked={draft.catchUp}
          onCheck={(catchUp) => set({ catchUp })}
        />
        {task.error && <Problem error={task.error} />}
        <footer>
          <Button onClick={onClose}>Not now</Button>
          <Button type="submit" kind="main" busy={task.busy}>
            {schedule ? "Save" : "Make the schedule"}
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

function Suggest({ onClose, onMade }: { onClose: () => void; onMade: () => void }) {
  const suggestions = useData("suggestions", (signal) => get<Suggestion[]>("/api/schedules/suggestions", {}, signal));
  return (
    <Dialog title="Suggested schedules" onClose={onClose} wide>
      <div class="body">
        {suggestions.error && <Problem error={suggestions.error} what="Suggesting schedules" retry={suggestions.reload} />}
        {suggestions.loading && <Loading />}
        {suggestions.data?.length === 0 && <Empty icon="check" title="There is nothing to suggest." />}
        <ul class="rows">
          {suggestions.data?.map((one) => (
            <Suggested key={one.schedule.name} suggestion={one} onMade={onMade} />
          ))}
        </ul>
      </div>
      <footer>
        <Button onClick={onClose}>Close</Button>
      </footer>
    </Dialog>
  );
}

function Suggested({ suggestion, onMade }: { suggestion: Suggestion; onMade: () => void }) {
  const [made, setMade] = useState(false);
  const task = useTask(async () => {
    await post("/api/schedules", suggestion.schedule);
    setMade(true);
    onMade();
  });
  return (
    <li class="row">
      <div class="grow">
        <p class="strong">
          {suggestion.schedule.name} <Code>{suggestion.schedule.cron}</Code>
        </p>
        <p class="muted">
          {sentence(suggestion.reason)} Confidence {Math.round(suggestion.confidence * 100)} %.
        </p>
        {task.error && <Problem error={task.error} />}
      </div>
      <Button icon={made ? "check" : "plus"} busy={task.busy} disabled={made} onClick={() => void task.run()}>
        {made ? "Made" : "Make it"}
      </Button>
    </li>
  );
}
