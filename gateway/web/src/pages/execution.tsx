import { useState } from "preact/hooks";
import { get, post, sentence } from "../api";
import { useMay } from "../caller";
import { bytes, clock, duration, timeOfDay, words } from "../format";
import { Graph } from "../graph";
import { useData, useEvents, useNow } from "../live";
import { to } from "../router";
import type { Execution, ExecutionEvent, Plan, PlanStep, StepRun } from "../types";
import { Badge, Button, Card, Code, Confirm, Facts, Loading, Meter, Note, PageHead, Problem, Select, useTask, When } from "../ui";
import { LiveMark } from "./progress";

const over = (run: Execution) => ["COMPLETED", "FAILED", "CANCELLED"].includes(run.status);

type Report = { contentType: string; content: string; signature: string; publicKey: string };
type Decision = { what: "approve" | "decline" | "retry" | "skip"; step: StepRun } | { what: "pause" | "resume" | "cancel" };

export function ExecutionPage({ id }: { id: string }) {
  const may = useMay();
  const path = `/api/disaster-recovery/executions/${encodeURIComponent(id)}`;
  const run = useData(path, (signal) => get<Execution>(path, {}, signal), 30000);
  const planId = run.data?.planId ?? null;
  const plan = useData(planId, (signal) => get<Plan>(`/api/disaster-recovery/plans/${encodeURIComponent(planId ?? "")}`, {}, signal));
  const [deciding, setDeciding] = useState<Decision>();
  const [percent, setPercent] = useState(0);
  const one = run.data;
  const stream = useEvents<ExecutionEvent>(
    one && !over(one) ? `${path}/watch` : null,
    (event) => {
      if (event.percent >= 0) setPercent(event.percent);
      if (one && event.step) run.set({ ...one, steps: one.steps.map((step) => (step.stepId === event.step?.stepId ? event.step : step)) });
      // Logs and what follows from a step are the server's to put together.
      if (event.kind === "STATUS" || event.kind === "STEP" || event.kind === "LOG") run.soon();
    },
    (event) => ["COMPLETED", "FAILED", "CANCELLED"].includes(event.status) && event.kind === "STATUS",
  );
  const back = planId
    ? { href: to("recovery", planId), label: plan.data?.name ?? "The plan" }
    : { href: to("recovery"), label: "Recovery" };
  if (!one) {
    return (
      <>
        <PageHead title="Run" back={back} />
        {run.error ? <Problem error={run.error} what="Disaster recovery" retry={run.reload} /> : <Loading />}
      </>
    );
  }
  const steps = stepsOf(one, plan.data);
  const ended = over(one);
  const control = may("DisasterRecoveryService.PauseExecution");
  return (
    <>
      <PageHead title={plan.data ? `${plan.data.name}: run` : "Run"} back={back} status={<Badge word={one.status} />}>
        {!ended && <LiveMark stream={stream} />}
        {!ended && control && one.status !== "PAUSED" && (
          <Button icon="pause" onClick={() => setDeciding({ what: "pause" })}>
            Pause
          </Button>
        )}
        {!ended && control && one.status === "PAUSED" && (
          <Button kind="main" icon="play" onClick={() => setDeciding({ what: "resume" })}>
            Resume
          </Button>
        )}
        {!ended && control && (
          <Button kind="danger" icon="stop" onClick={() => setDeciding({ what: "cancel" })}>
            Cancel
          </Button>
        )}
        {ended && may("DisasterRecoveryService.GetReport") && <ReportButtons path={path} />}
      </PageHead>
      {one.message && (
        <Note tone={one.status === "FAILED" ? "bad" : one.status === "COMPLETED" ? "good" : "info"}>{sentence(one.message)}</Note>
      )}
      <Clock run={one} plan={plan.data} percent={percent} />
      {!ended && <Waiting run={one} steps={steps} onDecide={setDeciding} />}
      <Card title="Steps">
        <Graph steps={steps} runs={one.steps} />
      </Card>
      <div class="columns uneven">
        <Card title="Timeline">
          <Timeline run={one} />
        </Card>
        <Log run={one} />
      </div>
      <Card title="Run">
        <Facts
          rows={[
            ["Reason", one.reason || "—"],
            ["Kind", one.kind ? words(one.kind) : "—"],
            ["Started by", one.triggeredBy],
            ["Started", <When key="s" time={one.triggeredAt} />],
            ["Ended", <When key="e" time={one.completedAt} none="not yet" />],
            ["Plan version", String(one.planVersion)],
            one.metrics && ended && ["Data lost", one.metrics.dataLoss > 0 ? bytes(one.metrics.dataLoss) : "none that is known"],
            ["Id", <Code key="i">{one.id}</Code>],
          ]}
        />
      </Card>
      {deciding && <Decide path={path} decision={deciding} onClose={() => setDeciding(undefined)} onDone={run.reload} />}
    </>
  );
}

// A plan may have changed or gone since; the run knows its own steps.
function stepsOf(run: Execution, plan: Plan | undefined): PlanStep[] {
  const known = new Map(plan?.steps.map((step) => [step.id, step]));
  return run.steps.map(
    (step, order) =>
      known.get(step.stepId) ?? {
        id: step.stepId,
        order,
        name: step.stepName,
        description: "",
        estimatedDuration: 0,
        automated: true,
        command: "",
        validationCriteria: [],
        dependencies: [],
        onFailure: "STOP",
        assignee: "",
      },
  );
}

function Clock({ run, plan, percent }: { run: Execution; plan: Plan | undefined; percent: number }) {
  const ended = over(run);
  const failed = ended && run.status !== "COMPLETED";
  const now = useNow(ended ? 3600000 : 1000);
  const start = Date.parse(run.triggeredAt ?? run.startedAt ?? new Date().toISOString());
  const measured = run.metrics && ended && run.metrics.actualRTO > 0 ? run.metrics.actualRTO * 60 : undefined;
  const seconds = measured ?? ((run.completedAt ? Date.parse(run.completedAt) : now) - start) / 1000;
  const objective = (plan?.recoveryTimeObjective ?? 0) * 60;
  const late = objective > 0 && seconds > objective;
  const kind = late ? "bad" : objective > 0 && seconds > objective * 0.8 ? "warn" : ended ? "good" : "info";
  const done = run.steps.filter((step) => step.status === "SUCCEEDED" || step.status === "SKIPPED").length;
  return (
    <Card class="clock">
      <div class="numbers">
        <div>
          <p class="huge" role="timer">
            {clock(seconds)}
          </p>
          <p class="muted">{ended ? "took" : "since it began"}</p>
        </div>
        {objective > 0 && !failed && (
          <div>
            <p class={`huge text-${kind}`}>{late ? `+${clock(seconds - objective)}` : clock(objective - seconds)}</p>
            <p class="muted">{late ? "over the objective" : ended ? "within the objective" : `left of ${duration(objective)}`}</p>
          </div>
        )}
        <div>
          <p class="huge">
            {done}
            <span class="of"> / {run.steps.length}</span>
          </p>
          <p class="muted">steps done</p>
        </div>
        {run.metrics && run.status === "COMPLETED" && (
          <div>
            <p class="huge">{duration(run.metrics.actualRPO * 60)}</p>
            <p class="muted">recovery point{plan ? `, objective ${duration(plan.recoveryPointObjective * 60)}` : ""}</p>
          </div>
        )}
      </div>
      {objective > 0 && !failed && <Meter value={seconds} most={objective} kind={kind} label="Time taken, of the objective" />}
      {!ended && percent > 0 && <p class="muted">{percent} % of the steps' work is done.</p>}
      {run.metrics && ended && run.metrics.waitingMinutes * 60 >= 1 && (
        <p class="muted">
          {duration(run.metrics.machineMinutes * 60)} of it machines worked, {duration(run.metrics.waitingMinutes * 60)} it waited for
          people.
        </p>
      )}
    </Card>
  );
}

// What cannot go on without a person.
function Waiting({ run, steps, onDecide }: { run: Execution; steps: PlanStep[]; onDecide: (decision: Decision) => void }) {
  const may = useMay();
  const waiting = run.steps.filter((step) => step.status === "WAITING" || step.status === "FAILED");
  if (waiting.length === 0) return null;
  return (
    <>
      {waiting.map((step) => {
        const plan = steps.find((one) => one.id === step.stepId);
        const manual = step.status === "WAITING" && plan?.automated === false;
        const choices: ["approve" | "decline" | "retry" | "skip", string, "main" | "plain" | "danger", string][] = manual
          ? [
              ["approve", "ApproveStep", "main", "It is done"],
              ["decline", "DeclineStep", "danger", "It cannot be done"],
              ["skip", "SkipStep", "plain", "Skip"],
            ]
          : [
              ["retry", "RetryStep", "main", "Retry"],
              ["skip", "SkipStep", "plain", "Skip"],
            ];
        return (
          <section class="waiting" key={step.stepId} aria-label={`${step.stepName} waits for you`}>
            <div class="grow">
              <h2>{manual ? `${step.stepName}: waits for ${plan?.assignee || "a person"}` : `${step.stepName} failed`}</h2>
              {manual && plan?.description && !step.message.includes(plan.description) && <p>{plan.description}</p>}
              {step.message && <p>{sentence(step.message)}</p>}
              {manual && plan && plan.validationCriteria.length > 0 && <p class="muted">Done when: {plan.validationCriteria.join("; ")}</p>}
              {step.output && <pre>{step.output}</pre>}
            </div>
            <div class="actions">
              {choices
                .filter(([, call]) => may(`DisasterRecoveryService.${call}`))
                .map(([what, , kind, label]) => (
                  <Button
                    key={what}
                    kind={kind}
                    icon={what === "approve" ? "check" : what === "decline" ? "close" : what}
                    onClick={() => onDecide({ what, step })}
                  >
                    {label}
                  </Button>
                ))}
            </div>
          </section>
        );
      })}
    </>
  );
}

const titles = {
  approve: "Is the step done?",
  decline: "Can the step not be done?",
  retry: "Try the step again?",
  skip: "Skip the step?",
  pause: "Pause the run?",
  resume: "Go on with the run?",
  cancel: "Cancel the run?",
};
const meanings = {
  approve: "The run goes on with what waits for it.",
  decline: "The step counts as failed.",
  retry: "It runs once more from its beginning.",
  skip: "The run goes on without it, and ends as completed with exceptions. The reason stands in the report.",
  pause: "Steps that run come to their end; no new one begins until it is resumed. The clock goes on.",
  resume: "The next steps begin at once.",
  cancel: "Running steps are stopped, the others are not begun. What was restored stays.",
};

function Decide({ path, decision, onClose, onDone }: { path: string; decision: Decision; onClose: () => void; onDone: () => void }) {
  const { what } = decision;
  const step = "step" in decision ? decision.step : undefined;
  return (
    <Confirm
      title={titles[what]}
      action={words(what)}
      danger={what === "cancel" || what === "decline" || what === "skip"}
      note={what === "skip" ? "Reason" : "Note"}
      noteRequired={what === "skip"}
      onClose={onClose}
      act={async (note) => {
        await post(step ? `${path}/steps/${encodeURIComponent(step.stepId)}/${what}` : `${path}/${what}`, { note });
        onDone();
        return undefined;
      }}
    >
      {step && <p class="strong">{step.stepName}</p>}
      <p>{meanings[what]}</p>
    </Confirm>
  );
}

function Timeline({ run }: { run: Execution }) {
  const now = useNow(over(run) ? 3600000 : 1000);
  const start = Date.parse(run.triggeredAt ?? "") || now;
  const end = run.completedAt ? Date.parse(run.completedAt) : now;
  const whole = Math.max(end - start, 1000);
  return (
    <ol class="timeline">
      {run.steps.map((step) => {
        const from = step.startedAt ? Date.parse(step.startedAt) : undefined;
        const until = step.completedAt ? Date.parse(step.completedAt) : now;
        return (
          <li key={step.stepId}>
            <div class="line">
              <span class="strong">{step.stepName}</span>
              <span class="muted number">{from !== undefined ? clock((until - from) / 1000) : ""}</span>
              <Badge word={step.status} />
            </div>
            <div class="track" aria-hidden="true">
              {from !== undefined && (
                <span
                  class={step.status}
                  style={{
                    left: `${(((from - start) / whole) * 100).toFixed(2)}%`,
                    width: `${Math.max(0.8, ((until - from) / whole) * 100).toFixed(2)}%`,
                  }}
                />
              )}
            </div>
            {(step.message || step.note || step.attempt > 1) && (
              <p class="muted">
                {[
                  step.attempt > 1 ? `Attempt ${step.attempt}` : "",
                  step.message && sentence(step.message),
                  step.decidedBy ? `${step.decidedBy}${step.note ? `: “${step.note}”` : ""}` : "",
                ]
                  .filter(Boolean)
                  .join(" · ")}
              </p>
            )}
          </li>
        );
      })}
    </ol>
  );
}

const levels = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];

function Log({ run }: { run: Execution }) {
  const [level, setLevel] = useState("INFO");
  // A run may log for hours; the last lines are those that matter.
  const shown = run.logs.filter((line) => levels.indexOf(line.level) >= levels.indexOf(level)).slice(-500);
  const names = new Map(run.steps.map((step) => [step.stepId, step.stepName]));
  return (
    <Card
      title="Log"
      class="log-card"
      actions={<Select label="From" value={level} options={levels.map((one) => [one, words(one)])} onPick={setLevel} />}
    >
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and the keyboard must be able to */}
      <div class="log" role="log" aria-label="Log of the run" tabIndex={0}>
        {shown.length === 0 && <p class="muted">Nothing yet.</p>}
        {[...shown].reverse().map((line) => (
          <p key={line.id} class={line.level}>
            <time dateTime={line.timestamp ?? ""}>{line.timestamp ? timeOfDay(line.timestamp) : ""}</time>
            <span>
              {line.step && <b>{names.get(line.step) ?? line.step} </b>}
              {line.message}
              {line.details && <span class="muted"> {line.details}</span>}
            </span>
          </p>
        ))}
      </div>
    </Card>
  );
}

function ReportButtons({ path }: { path: string }) {
  const save = async (format: "HTML" | "JSON") => {
    const report = await get<Report>(`${path}/report`, { format });
    const content = Uint8Array.from(atob(report.content), (letter) => letter.charCodeAt(0));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], { type: report.contentType || "application/octet-stream" }));
    link.download = `recovery-report.${format.toLowerCase()}`;
    link.click();
    window.setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  };
  const page = useTask(() => save("HTML"));
  const data = useTask(() => save("JSON"));
  const error = page.error ?? data.error;
  return (
    <>
      {error && <span class="text-bad">{error.message}</span>}
      <Button icon="download" busy={data.busy} onClick={() => void data.run()}>
        Report as JSON
      </Button>
      <Button kind="main" icon="download" busy={page.busy} onClick={() => void page.run()}>
        Report
      </Button>
    </>
  );
}
