import { useState } from "preact/hooks";
import { get, post, put } from "../api";
import { words } from "../format";
import { Graph } from "../graph";
import { useData } from "../live";
import { go, to } from "../router";
import { type BackupType, backupTypes, type Plan, type PlanStep } from "../types";
import { Button, Card, Check, LinkButton, Loading, Note, PageHead, Problem, Select, TextArea, TextField, useTask } from "../ui";

type Draft = Omit<Plan, "id" | "createdAt" | "updatedAt" | "lastTestedAt" | "nextTestDate" | "version" | "verified">;

const emptyPlan: Draft = {
  name: "",
  description: "",
  priority: "CRITICAL",
  recoveryTimeObjective: 60,
  recoveryPointObjective: 15,
  backupTypes: ["FULL"],
  steps: [],
  contacts: [],
  status: "ACTIVE",
  testSchedule: "",
};

const commands: [string, string][] = [
  ["restore_backup:FULL", "Restore the newest good full backup"],
  ["restore_backup:DATABASE", "Restore the newest good database backup"],
  ["restore_backup:FILES", "Restore the newest good file backup"],
  ["restore_backup:CONFIGURATION", "Restore the newest good configuration backup"],
  ["verify_database", "Check the restored database"],
  ["restart_services", "Start the services again"],
];

function newStep(order: number, before: PlanStep | undefined): PlanStep {
  return {
    id: `step-${order}`,
    order,
    name: "",
    description: "",
    estimatedDuration: 5,
    automated: true,
    command: "",
    validationCriteria: [],
    dependencies: before ? [before.id] : [],
    onFailure: "STOP",
    assignee: "",
  };
}

// A new plan begins with the server's proposal for what is configured.
export function PlanEditPage({ id }: { id?: string }) {
  const from = id ? `/api/disaster-recovery/plans/${encodeURIComponent(id)}` : "/api/disaster-recovery/plans/suggestion";
  const source = useData(from, (signal) => get<Plan>(from, {}, signal));
  const back = id ? { href: to("recovery", id), label: "The plan" } : { href: to("recovery"), label: "Recovery" };
  const title = id ? "Edit the plan" : "New plan";
  if (source.data) return <Editor first={source.data} {...(id ? { id } : {})} title={title} back={back} />;
  if (source.error && !id) return <Editor first={emptyPlan} title={title} back={back} />;
  return (
    <>
      <PageHead title={title} back={back} />
      {source.error ? <Problem error={source.error} what="Disaster recovery" retry={source.reload} /> : <Loading />}
    </>
  );
}

function Editor({ first, id, title, back }: { first: Draft; id?: string; title: string; back: { href: string; label: string } }) {
  const [plan, setPlan] = useState<Draft>({ ...emptyPlan, ...first });
  const set = (part: Partial<Draft>) => setPlan((before) => ({ ...before, ...part }));
  const setStep = (at: number, part: Partial<PlanStep>) =>
    set({ steps: plan.steps.map((step, index) => (index === at ? { ...step, ...part } : step)) });
  const task = useTask(async () => {
    const body = {
      ...plan,
      steps: plan.steps.map((step, index) => ({
        ...step,
        order: index + 1,
        validationCriteria: step.validationCriteria.flatMap((line) => line.trim() || []),
      })),
    };
    const saved = id
      ? await put<Plan>(`/api/disaster-recovery/plans/${encodeURIComponent(id)}`, body)
      : await post<Plan>("/api/disaster-recovery/plans", body);
    go(to("recovery", saved.id));
  });
  const fresh = () => {
    let order = plan.steps.length + 1;
    while (plan.steps.some((step) => step.id === `step-${order}`)) order += 1;
    return order;
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void task.run();
      }}
    >
      <PageHead title={title} back={back}>
        <LinkButton href={back.href}>Leave</LinkButton>
        <Button type="submit" kind="main" icon="check" busy={task.busy}>
          Save
        </Button>
      </PageHead>
      {task.error && <Problem error={task.error} />}
      {!id && plan.steps.length > 0 && (
        <Note tone="info">This is a proposal for what is configured here. Look through it, change it, and save it.</Note>
      )}
      <Card title="Plan">
        <TextField label="Name" value={plan.name} onText={(name) => set({ name })} required maxlength={200} />
        <TextArea label="Description" value={plan.description} onText={(description) => set({ description })} rows={2} />
        <div class="pair">
          <Select
            label="Priority"
            value={plan.priority}
            options={(["CRITICAL", "HIGH", "MEDIUM", "LOW"] as const).map((one) => [one, words(one)])}
            onPick={(priority) => set({ priority })}
          />
          <TextField
            label="Back within, minutes"
            type="number"
            min={1}
            value={String(plan.recoveryTimeObjective)}
            onText={(text) => set({ recoveryTimeObjective: Number(text) })}
          />
          <TextField
            label="Losing at most, minutes"
            type="number"
            min={1}
            value={String(plan.recoveryPointObjective)}
            onText={(text) => set({ recoveryPointObjective: Number(text) })}
          />
        </div>
        <fieldset>
          <legend>Restores</legend>
          <div class="choices">
            {backupTypes.map((type: BackupType) => (
              <Check
                key={type}
                label={words(type)}
                checked={plan.backupTypes.includes(type)}
                onCheck={(on) => set({ backupTypes: on ? [...plan.backupTypes, type] : plan.backupTypes.filter((one) => one !== type) })}
              />
            ))}
          </div>
        </fieldset>
      </Card>
      <Card
        title="Steps"
        actions={
          <Button icon="plus" onClick={() => set({ steps: [...plan.steps, newStep(fresh(), plan.steps[plan.steps.length - 1])] })}>
            Add a step
          </Button>
        }
      >
        {plan.steps.length > 0 ? (
          <Graph steps={plan.steps.map((step, order) => ({ ...step, order, name: step.name || "…" }))} />
        ) : (
          <p class="muted">A plan needs at least one step.</p>
        )}
        {plan.steps.map((step, at) => (
          <Step
            key={step.id}
            step={step}
            number={at + 1}
            others={plan.steps.filter((other) => other.id !== step.id)}
            onChange={(part) => setStep(at, part)}
            onMove={at > 0 ? () => set({ steps: moved(plan.steps, at) }) : undefined}
            onRemove={() =>
              set({
                steps: plan.steps
                  .filter((_, index) => index !== at)
                  .map((one) => ({ ...one, dependencies: one.dependencies.filter((needed) => needed !== step.id) })),
              })
            }
          />
        ))}
      </Card>
    </form>
  );
}

function moved(steps: PlanStep[], at: number): PlanStep[] {
  const result = [...steps];
  const [step] = result.splice(at, 1);
  if (step) result.splice(at - 1, 0, step);
  return result;
}

type StepProps = {
  step: PlanStep;
  number: number;
  others: PlanStep[];
  onChange: (part: Partial<PlanStep>) => void;
  onMove: (() => void) | undefined;
  onRemove: () => void;
};

function Step({ step, number, others, onChange, onMove, onRemove }: StepProps) {
  const usual = commands.some(([command]) => command === step.command) ? step.command : "";
  return (
    <fieldset class="step">
      <legend>
        Step {number}
        {step.name && `: ${step.name}`}
      </legend>
      <div class="pair">
        <TextField label="Name" value={step.name} onText={(name) => onChange({ name })} required maxlength={200} />
        <Select
          label="Done"
          value={step.automated ? "machine" : "person"}
          options={[
            ["machine", "By itself"],
            ["person", "By a person, who approves it"],
          ]}
          onPick={(who) => onChange(who === "machine" ? { automated: true } : { automated: false, command: "" })}
        />
        <TextField
          label="Estimate, minutes"
          type="number"
          min={0}
          value={String(step.estimatedDuration)}
          onText={(text) => onChange({ estimatedDuration: Number(text) })}
        />
      </div>
      {step.automated ? (
        <div class="pair">
          <Select
            label="What it does"
            value={usual}
            options={[...commands, ["", "A command of my own"]]}
            onPick={(command) => onChange({ command })}
          />
          {usual === "" && (
            <TextField
              label="Command"
              value={step.command}
              onText={(command) => onChange({ command })}
              required
              hint="restore_backup:TYPE, hook:NAME, http_check:URL, tcp_check:HOST:PORT, sql_check:STATEMENT, wait:TIME"
            />
          )}
          <Select
            label="Where it fails"
            value={step.onFailure}
            options={[
              ["STOP", "The run fails"],
              ["ASK", "A person decides"],
              ["CONTINUE", "The run goes on"],
            ]}
            onPick={(onFailure) => onChange({ onFailure })}
          />
        </div>
      ) : (
        <div class="pair">
          <TextField label="What is to be done" value={step.description} onText={(description) => onChange({ description })} />
          <TextField
            label="Who"
            value={step.assignee}
            onText={(assignee) => onChange({ assignee })}
            placeholder="Anybody who may approve"
          />
        </div>
      )}
      <TextArea
        label="Proved by"
        rows={2}
        value={step.validationCriteria.join("\n")}
        onText={(text) => onChange({ validationCriteria: text.split("\n") })}
        hint="One a line, as rows(sales) >= 1, file exists /srv/shop/config, http 200 http://localhost/health; what no machine can check a person confirms."
      />
      {others.length > 0 && (
        <fieldset>
          <legend>After</legend>
          <div class="choices">
            {others.map((other) => (
              <Check
                key={other.id}
                label={other.name || other.id}
                checked={step.dependencies.includes(other.id)}
                onCheck={(on) =>
                  onChange({ dependencies: on ? [...step.dependencies, other.id] : step.dependencies.filter((one) => one !== other.id) })
                }
              />
            ))}
          </div>
        </fieldset>
      )}
      <div class="actions">
        {onMove && (
          <Button kind="quiet" icon="up" onClick={onMove}>
            Earlier
          </Button>
        )}
        <Button kind="quiet" icon="trash" onClick={onRemove}>
          Remove
        </Button>
      </div>
    </fieldset>
  );
}
