// The parts that all pages are made of.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { ApiError } from "./api";
import { ago, exactly, moment, type Tone, tone, words } from "./format";
import { Icon, type IconName } from "./icons";
import { useNow } from "./live";

type Children = { children?: ComponentChildren };

export function Button({
  icon,
  kind = "plain",
  busy = false,
  children,
  ...rest
}: Children & {
  icon?: IconName;
  kind?: "plain" | "main" | "danger" | "quiet";
  busy?: boolean;
  type?: "button" | "submit";
  disabled?: boolean;
  title?: string;
  onClick?: () => void;
  "aria-label"?: string;
  "aria-expanded"?: boolean;
}) {
  return (
    <button type="button" class={`button ${kind}`} {...rest} disabled={rest.disabled || busy} aria-busy={busy}>
      {busy ? <span class="spinner" aria-hidden="true" /> : icon && <Icon name={icon} size={16} />}
      {children && <span>{children}</span>}
    </button>
  );
}

export function LinkButton({
  icon,
  href,
  kind = "plain",
  children,
}: Children & { icon?: IconName; href: string; kind?: "plain" | "main" }) {
  return (
    <a class={`button ${kind}`} href={href}>
      {icon && <Icon name={icon} size={16} />}
      <span>{children}</span>
    </a>
  );
}

export function Badge({ word, label, as }: { word: string; label?: string; as?: Tone }) {
  return (
    <span class={`badge ${as ?? tone(word)}`}>
      <span class="dot" aria-hidden="true" />
      {label ?? words(word)}
    </span>
  );
}

// A time in the viewer's zone; the exact one shows where the pointer rests and is what a screen reader says.
export function When({ time, relative = false, none = "never" }: { time: string | null | undefined; relative?: boolean; none?: string }) {
  if (!time) return <span class="muted">{none}</span>;
  return (
    <time dateTime={time} title={exactly(time)}>
      {relative ? <Ago time={time} /> : moment(time)}
    </time>
  );
}

function Ago({ time }: { time: string }) {
  const now = useNow(20000);
  return <>{ago(time, now)}</>;
}

export function Card({
  title,
  actions,
  children,
  class: name = "",
  id,
}: Children & { title?: ComponentChildren; actions?: ComponentChildren; class?: string; id?: string }) {
  const label = useId();
  return (
    <section class={`card ${name}`} id={id} aria-labelledby={title ? label : undefined}>
      {(title || actions) && (
        <header>
          {title && <h2 id={label}>{title}</h2>}
          {actions && <div class="actions">{actions}</div>}
        </header>
      )}
      {children}
    </section>
  );
}

export function PageHead({
  title,
  children,
  back,
  status,
}: Children & { title: string; back?: { href: string; label: string }; status?: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Mosaajii Backup`;
  }, [title]);
  return (
    <div class="page-head">
      <div>
        {back && (
          <a class="back" href={back.href}>
            <Icon name="previous" size={14} /> {back.label}
          </a>
        )}
        <div class="title">
          <h1 ref={heading} tabIndex={-1}>
            {title}
          </h1>
          {status}
        </div>
      </div>
      {children && <div class="actions">{children}</div>}
    </div>
  );
}

// What to do next, where there is nothing yet.
export function Empty({ icon, title, children }: Children & { icon: IconName; title: string }) {
  return (
    <div class="empty">
      <Icon name={icon} size={32} />
      <p class="strong">{title}</p>
      {children && <div class="muted">{children}</div>}
    </div>
  );
}

export function Problem({ error, what, retry }: { error: ApiError; what?: string; retry?: () => void }) {
  if (error.absent) {
    return (
      <div class="empty">
        <Icon name="clock" size={32} />
        <p class="strong">{what ?? "This part"} is not available on this server.</p>
        <p class="muted">The server that runs here does not do this yet. Everything else works without it.</p>
      </div>
    );
  }
  return (
    <div class="note bad" role="alert">
      <Icon name="alert" />
      <div>
        <p>{error.status === 403 ? "Your token does not allow this." : error.message}</p>
        {retry && error.status !== 403 && (
          <Button kind="quiet" icon="retry" onClick={retry}>
            Try again
          </Button>
        )}
      </div>
    </div>
  );
}

export function Note({ tone: kind, title, children }: Children & { tone: Tone; title?: string }) {
  return (
    <div class={`note ${kind}`}>
      <Icon name={kind === "good" ? "check" : kind === "bad" || kind === "warn" ? "alert" : "clock"} />
      <div>
        {title && <p class="strong">{title}</p>}
        {children}
      </div>
    </div>
  );
}

export function Loading({ what = "Loading" }: { what?: string }) {
  return (
    <p class="loading" role="status">
      <span class="spinner" aria-hidden="true" /> {what}…
    </p>
  );
}

export function Meter({ value, most, kind = "info", label }: { value: number; most: number; kind?: Tone; label: string }) {
  const part = most > 0 ? Math.min(1, Math.max(0, value / most)) : 0;
  return (
    <div
      class={`meter ${kind}`}
      role="progressbar"
      aria-label={label}
      aria-valuenow={Math.round(part * 100)}
      aria-valuemin={0}
      aria-valuemax={100}
    >
      <span style={{ width: `${(part * 100).toFixed(1)}%` }} />
    </div>
  );
}

export function Facts({ rows }: { rows: ([string, ComponentChildren] | false | null | undefined | "")[] }) {
  return (
    <dl class="facts">
      {rows.map(
        (row) =>
          row && (
            <div key={row[0]}>
              <dt>{row[0]}</dt>
              <dd>{row[1]}</dd>
            </div>
          ),
      )}
    </dl>
  );
}

export function Field({
  label,
  hint,
  children,
}: {
  label: string;
  hint?: string;
  children: (id: string, hintId: string | undefined) => ComponentChildren;
}) {
  const id = useId();
  const hintId = `${id}-hint`;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children(id, hint ? hintId : undefined)}
      {hint && (
        <p class="hint" id={hintId}>
          {hint}
        </p>
      )}
    </div>
  );
}

type Text = Omit<JSX.InputHTMLAttributes<HTMLInputElement>, "onInput" | "label"> & {
  label: string;
  hint?: string;
  value: string;
  onText: (text: string) => void;
};

export function TextField({ label, hint, onText, ...rest }: Text) {
  return (
    <Field label={label} {...(hint ? { hint } : {})}>
      {(id, hintId) => <input id={id} aria-describedby={hintId} {...rest} onInput={(event) => onText(event.currentTarget.value)} />}
    </Field>
  );
}

export function TextArea({
  label,
  hint,
  value,
  onText,
  rows = 3,
  required,
}: {
  label: string;
  hint?: string;
  value: string;
  onText: (text: string) => void;
  rows?: number;
  required?: boolean;
}) {
  return (
    <Field label={label} {...(hint ? { hint } : {})}>
      {(id, hintId) => (
        <textarea
          id={id}
          aria-describedby={hintId}
          rows={rows}
          required={required}
          value={value}
          onInput={(event) => onText(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

export function Select<T extends string>({
  label,
  hint,
  value,
  options,
  onPick,
}: {
  label: string;
  hint?: string;
  value: T;
  options: [T, string][];
  onPick: (value: T) => void;
}) {
  return (
    <Field label={label} {...(hint ? { hint } : {})}>
      {(id, hintId) => (
        <select id={id} aria-describedby={hintId} value={value} onChange={(event) => onPick(event.currentTarget.value as T)}>
          {options.map(([word, text]) => (
            <option key={word} value={word}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

export function Check({
  label,
  hint,
  checked,
  onCheck,
  disabled,
}: {
  label: string;
  hint?: string;
  checked: boolean;
  onCheck: (on: boolean) => void;
  disabled?: boolean;
}) {
  return (
    <label class="check">
      <input type="checkbox" checked={checked} disabled={disabled} onChange={(event) => onCheck(event.currentTarget.checked)} />
      <span>
        {label}
        {hint && <span class="hint">{hint}</span>}
      </span>
    </label>
  );
}

// A dialog of the browser's own: it keeps the focus, closes with Escape and gives the focus back.
export function Dialog({ title, children, onClose, wide = false }: Children & { title: string; onClose: () => void; wide?: boolean }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const label = useId();
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  return (
    <dialog ref={dialog} class={wide ? "wide" : ""} aria-labelledby={label} onClose={onClose} onCancel={onClose}>
      <header>
        <h2 id={label}>{title}</h2>
        <Button kind="quiet" icon="close" aria-label="Close" onClick={onClose} />
      </header>
      {children}
    </dialog>
  );
}

// Something to be confirmed, with a note where one is asked for. `act` says what was done; what it throws is shown.
export function Confirm({
  title,
  action,
  danger = false,
  note,
  noteRequired = false,
  act,
  onClose,
  children,
}: Children & {
  title: string;
  action: string;
  danger?: boolean;
  note?: string;
  noteRequired?: boolean;
  act: (note: string) => Promise<string | undefined>;
  onClose: () => void;
}) {
  const [text, setText] = useState("");
  const task = useTask(async () => {
    const said = await act(text.trim());
    if (said) say(said);
    onClose();
  });
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          task.run();
        }}
      >
        {children}
        {note && <TextArea label={note} value={text} onText={setText} required={noteRequired} rows={2} />}
        {task.error && <Problem error={task.error} />}
        <footer>
          <Button onClick={onClose}>Keep as it is</Button>
          <Button type="submit" kind={danger ? "danger" : "main"} busy={task.busy} disabled={noteRequired && !text.trim()}>
            {action}
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

// Something that is under way once at a time, and may fail.
export function useTask(work: () => Promise<void>) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const run = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await work();
    } catch (problem) {
      setError(problem as ApiError);
    }
    setBusy(false);
  };
  return { busy, error, run };
}

// ---- What was done, for a moment at the edge of the page, and for a screen reader ----

let sayings: { number: number; text: string }[] = [];
let listener = () => {};
let number = 0;

export function say(text: string) {
  number += 1;
  const mine = number;
  sayings = [...sayings.slice(-2), { number: mine, text }];
  listener();
  window.setTimeout(() => {
    sayings = sayings.filter((one) => one.number !== mine);
    listener();
  }, 8000);
}

export function Sayings() {
  const [, setTurn] = useState(0);
  useEffect(() => {
    listener = () => setTurn((turn) => turn + 1);
    return () => {
      listener = () => {};
    };
  }, []);
  return (
    <div class="sayings" role="status" aria-live="polite">
      {sayings.map((one) => (
        <p key={one.number}>
          <Icon name="check" size={16} /> {one.text}
        </p>
      ))}
    </div>
  );
}

// Pages by token: the way back is the tokens gone by.
export function usePages() {
  const [tokens, setTokens] = useState<string[]>([""]);
  return {
    token: tokens[tokens.length - 1] ?? "",
    number: tokens.length,
    next: (token: string) => setTokens([...tokens, token]),
    previous: () => setTokens(tokens.slice(0, -1)),
    reset: () => setTokens((before) => (before.length === 1 ? before : [""])),
  };
}

export function Pager({ pages, next, shown }: { pages: ReturnType<typeof usePages>; next: string; shown: number }) {
  if (pages.number === 1 && !next) return null;
  return (
    <nav class="pager" aria-label="Pages">
      <span class="muted">
        Page {pages.number} · {shown} shown
      </span>
      <Button icon="previous" disabled={pages.number === 1} onClick={pages.previous}>
        Newer
      </Button>
      <Button icon="next" disabled={!next} onClick={() => pages.next(next)}>
        Older
      </Button>
    </nav>
  );
}

export function Code({ children }: Children) {
  return <code class="path">{children}</code>;
}
