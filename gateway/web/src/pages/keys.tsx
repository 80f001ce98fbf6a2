import { useState } from "preact/hooks";
import { get, list, post } from "../api";
import { useMay } from "../caller";
import { words } from "../format";
import { useData } from "../live";
import { go, to } from "../router";
import type { Confirmation, Job, KeyVersion, Token } from "../types";
import {
  Badge,
  Button,
  Card,
  Code,
  Confirm,
  Dialog,
  Empty,
  Loading,
  Note,
  PageHead,
  Problem,
  Select,
  TextField,
  useTask,
  When,
} from "../ui";

export function KeysPage() {
  const may = useMay();
  const keys = useData("keys", (signal) => get<KeyVersion[]>("/api/keys", {}, signal));
  const [asking, setAsking] = useState<"rotate" | KeyVersion>();
  const manage = may("AdminService.RotateKey");
  return (
    <>
      <PageHead title="Keys">
        {manage && (
          <Button kind="main" icon="retry" onClick={() => setAsking("rotate")}>
            Rotate
          </Button>
        )}
      </PageHead>
      <Card title="Key versions">
        {keys.error && <Problem error={keys.error} retry={keys.reload} />}
        {keys.loading && !keys.data && <Loading />}
        {keys.data && (
          <table class="stack">
            <thead>
              <tr>
                <th scope="col">Key</th>
                <th scope="col">State</th>
                <th scope="col">Made</th>
                <th scope="col" class="number">
                  Backups
                </th>
                <th scope="col">
                  <span class="unseen">What to do</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {keys.data.map((key) => (
                <tr key={key.id}>
                  <td>
                    <Code>{key.id}</Code>
                    <span class="under">{words(key.provider)}</span>
                  </td>
                  <td data-label="State">
                    <Badge word={key.state} />
                  </td>
                  <td data-label="Made">
                    <When time={key.createdAt} />
                  </td>
                  <td data-label="Backups" class="number">
                    {key.backups.toLocaleString()}
                  </td>
                  <td class="number">
                    {key.state === "DECRYPT_ONLY" && may("AdminService.RetireKey") && (
                      <Button
                        kind="quiet"
                        icon="trash"
                        disabled={key.backups > 0}
                        title={key.backups > 0 ? "Backups still need it" : "Retire"}
                        onClick={() => setAsking(key)}
                      >
                        Retire
                      </Button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Card>
      {may("AdminService.ListConfirmations") && <Confirmations />}
      {may("AdminService.ListTokens") && <Tokens />}
      {asking === "rotate" && (
        <Confirm
          title="Rotate the key?"
          action="Rotate"
          onClose={() => setAsking(undefined)}
          act={async () => {
            const made = await post<{ key: KeyVersion; job: Job | null }>("/api/keys/rotate");
            keys.reload();
            if (made.job) go(to("jobs", made.job.id));
            return `New backups use ${made.key.id}.`;
          }}
        >
          <p>
            A new version wraps the keys of all backups from now on. Those of earlier backups are wrapped anew in the background; no backup
            is touched.
          </p>
        </Confirm>
      )}
      {asking && asking !== "rotate" && (
        <Confirm
          title={`Retire ${asking.id}?`}
          action="Destroy this version"
          danger
          onClose={() => setAsking(undefined)}
          act={async () => {
            await post("/api/keys/retire", { keyId: asking.id });
            keys.reload();
            return `${asking.id} is retired.`;
          }}
        >
          <p>It is destroyed. What it alone wrapped, in copies of the repository too, is lost for good.</p>
        </Confirm>
      )}
    </>
  );
}

function Confirmations() {
  const waiting = useData("confirmations", (signal) => get<Confirmation[]>("/api/confirmations", {}, signal), 15000);
  const [asking, setAsking] = useState<Confirmation>();
  const open = waiting.data?.filter((one) => one.status === "WAITING") ?? [];
  if (open.length === 0) return null;
  return (
    <Card title="Waiting for a second person">
      <ul class="rows">
        {open.map((one) => (
          <li class="row" key={one.id}>
            <div class="grow">
              <p class="strong">
                {one.action} <Code>{one.resource}</Code>
              </p>
              <p class="muted">
                Asked for by {one.requestedBy} <When time={one.requestedAt} relative />, until <When time={one.expiresAt} />
              </p>
            </div>
            <Button icon="check" onClick={() => setAsking(one)}>
              Confirm
            </Button>
          </li>
        ))}
      </ul>
      {asking && (
        <Confirm
          title="Confirm this?"
          action="Confirm"
          danger
          onClose={() => setAsking(undefined)}
          act={async () => {
            await post(`/api/confirmations/${encodeURIComponent(asking.id)}/confirm`);
            waiting.reload();
            return "Confirmed: who asked for it may do it now.";
          }}
        >
          <p>
            {asking.requestedBy} wants {asking.action} for <Code>{asking.resource}</Code>.
          </p>
        </Confirm>
      )}
    </Card>
  );
}

function Tokens() {
  const may = useMay();
  const tokens = useData("tokens", (signal) => list<Token>("/api/tokens", { pageSize: 200 }, signal));
  const [making, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<Token>();
  return (
    <Card
      title="Tokens"
      actions={
        may("AdminService.CreateToken") && (
          <Button icon="plus" onClick={() => setMaking(true)}>
            New token
          </Button>
        )
      }
    >
      {tokens.error && <Problem error={tokens.error} retry={tokens.reload} />}
      {tokens.data?.items.length === 0 && <Empty icon="keys" title="There are no tokens." />}
      {tokens.data && tokens.data.items.length > 0 && (
        <table class="stack">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Role</th>
              <th scope="col">Last used</th>
              <th scope="col">Valid until</th>
              <th scope="col">
                <span class="unseen">What to do</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {tokens.data.items.map((token) => (
              <tr key={token.id} class={token.revokedAt ? "over" : ""}>
                <td>
                  <span class="strong">{token.name}</span>
                  {token.rights.length > 0 && <span class="under">also {token.rights.join(", ")}</span>}
                </td>
                <td data-label="Role">{words(token.role)}</td>
                <td data-label="Last used">
                  <When time={token.lastUsedAt} relative />
                </td>
                <td data-label="Valid until">{token.revokedAt ? "revoked" : <When time={token.expiresAt} none="no end" />}</td>
                <td class="number">
                  {!token.revokedAt && may("AdminService.RevokeToken") && (
                    <Button kind="quiet" onClick={() => setRevoking(token)} aria-label={`Revoke ${token.name}`}>
                      Revoke
                    </Button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {making && <MakeToken onClose={() => setMaking(false)} onMade={tokens.reload} />}
      {revoking && (
        <Confirm
          title={`Revoke ${revoking.name}?`}
          action="Revoke"
          danger
          onClose={() => setRevoking(undefined)}
          act={async () => {
            await post(`/api/tokens/${encodeURIComponent(revoking.id)}/revoke`);
            tokens.reload();
            return `${revoking.name} is revoked.`;
          }}
        >
          <p>Whoever uses it is refused from now on. If it is the one you signed in with, that is you.</p>
        </Confirm>
      )}
    </Card>
  );
}

function MakeToken({ onClose, onMade }: { onClose: () => void; onMade: () => void }) {
  const [name, setName] = useState("");
  const [role, setRole] = useState<"VIEWER" | "OPERATOR" | "ADMIN">("VIEWER");
  const [days, setDays] = useState("");
  const [secret, setSecret] = useState("");
  const task = useTask(async () => {
    const expiresAt = days ? new Date(Date.now() + Number(days) * 86400000).toISOString() : undefined;
    const made = await post<{ secret: string }>("/api/tokens", { name: name.trim(), role, ...(expiresAt ? { expiresAt } : {}) });
    setSecret(made.secret);
    onMade();
  });
  return (
    <Dialog title="New token" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void task.run();
        }}
      >
        {secret ? (
          <Note tone="good" title="This is shown this once">
            <p>
              <Code>{secret}</Code>
            </p>
          </Note>
        ) : (
          <>
            <TextField label="Name" value={name} onText={setName} required maxlength={200} hint="Who or what uses it." />
            <Select
              label="Role"
              value={role}
              options={[
                ["VIEWER", "Viewer: reads everything but secrets"],
                ["OPERATOR", "Operator: also backs up, verifies, restores, acknowledges"],
                ["ADMIN", "Administrator: everything"],
              ]}
              onPick={setRole}
            />
            <TextField
              label="Valid for days"
              type="number"
              min={1}
              max={36500}
              value={days}
              onText={setDays}
              placeholder="Until it is revoked"
            />
          </>
        )}
        {task.error && <Problem error={task.error} />}
        <footer>
          <Button onClick={onClose}>Close</Button>
          {!secret && (
            <Button type="submit" kind="main" busy={task.busy}>
              Make the token
            </Button>
          )}
        </footer>
      </form>
    </Dialog>
  );
}
