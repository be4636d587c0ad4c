/** What may happen to a tenant, said once more and apart from the code: the table of the contract, for a tenant that begins with a trial. */
type Before = 'pending' | 'failed' | 'trial' | 'active' | 'suspended' | 'archived';
export interface Model {
  status: Before | 'deleting' | 'deleted';
  suspendedFrom: 'trial' | 'active' | null;
  archivedFrom: 'trial' | 'active' | 'suspended' | null;
  deletedFrom: Before | null;
  provisioned: boolean;
  trialOver: boolean;
  held: boolean;
  erasing: boolean;
}
/** `answers`: the HTTP status; 0 where nobody asked. */
export type Outcome = { model: Model; answers: number } | { refused: string };

export const transitionNames = ['activate', 'retry', 'suspend', 'reactivate', 'archive', 'restore', 'undelete'] as const;
export const wantedStatuses = ['active', 'trial', 'suspended', 'archived'] as const;
export type Step =
  | { by: 'name'; command: (typeof transitionNames)[number] }
  | { by: 'status'; status: (typeof wantedStatuses)[number] }
  | { by: 'delete'; graceDays: number | undefined; confirm: 'slug' | 'wrong' | undefined }
  | { by: 'hold'; held: boolean }
  | { by: 'itself'; event: 'provisioned' | 'completed' | 'failed' | 'trial-ends' | 'grace-ends' | 'erased' };

const notAllowed: Outcome = { refused: 'tenant.transition_not_allowed' };
const stays = (model: Model): Outcome => ({ model, answers: 200 });

function commanded(model: Model, command: (typeof transitionNames)[number]): Outcome {
  const { status } = model;
  const to = (change: Partial<Model>): Outcome => ({ model: { ...model, ...change }, answers: 200 });
  if (status === 'deleted') return { refused: 'tenant.deleted' };
  switch (command) {
    case 'activate':
      if (status === 'active') return stays(model);
      if (status === 'trial') return to({ status: 'active', trialOver: true });
      if (status !== 'pending') return notAllowed;
      if (!model.provisioned) return { refused: 'tenant.not_ready' };
      return model.trialOver ? to({ status: 'active' }) : to({ status: 'trial' });
    case 'retry':
      return status === 'failed' ? { model: { ...model, status: 'pending', trialOver: false }, answers: 202 } : notAllowed;
    case 'suspend':
      if (status === 'suspended') return stays(model);
      return status === 'trial' || status === 'active' ? to({ status: 'suspended', suspendedFrom: status }) : notAllowed;
    case 'reactivate':
      if (status === 'trial' || status === 'active') return stays(model);
      return status === 'suspended' ? to({ status: model.suspendedFrom as 'trial', suspendedFrom: null }) : notAllowed;
    case 'archive':
      if (status === 'archived') return stays(model);
      return status === 'trial' || status === 'active' || status === 'suspended'
        ? to({ status: 'archived', archivedFrom: status })
        : notAllowed;
    case 'restore':
      if (status === 'trial' || status === 'active' || status === 'suspended') return stays(model);
      return status === 'archived' ? to({ status: model.archivedFrom as 'trial', archivedFrom: null }) : notAllowed;
    case 'undelete': {
      const settles = (status === 'deleting' ? model.deletedFrom : status) !== 'pending' || model.provisioned;
      if (status !== 'deleting') return { model, answers: settles ? 200 : 202 };
      if (model.erasing) return notAllowed;
      return { model: { ...model, status: model.deletedFrom as Before, deletedFrom: null }, answers: settles ? 200 : 202 };
    }
  }
}

function brought(model: Model, to: (typeof wantedStatuses)[number]): Outcome {
  const { status, suspendedFrom, archivedFrom } = model;
  if (status === 'deleted') return { refused: 'tenant.deleted' };
  if (status === to) return stays(model);
  if (to === 'archived') return commanded(model, 'archive');
  const before = status === 'suspended' ? suspendedFrom : status === 'archived' ? archivedFrom : null;
  const leadsBack = before === to || (before === 'trial' && to === 'active');
  if (status === 'archived') return leadsBack ? commanded(model, 'restore') : notAllowed;
  if (to === 'suspended') return commanded(model, 'suspend');
  if (leadsBack) return commanded(model, 'reactivate');
  return to === 'active' ? commanded(model, 'activate') : notAllowed;
}

function itself(model: Model, event: Extract<Step, { by: 'itself' }>['event']): Outcome {
  const to = (change: Partial<Model>): Outcome => ({ model: { ...model, ...change }, answers: 0 });
  const same = to({});
  switch (event) {
    case 'provisioned':
      return model.status === 'pending' || (model.status === 'deleting' && model.deletedFrom === 'pending')
        ? to({ provisioned: true })
        : same;
    case 'completed':
      if (model.status !== 'pending' || !model.provisioned) return same;
      return to({ status: model.trialOver ? 'active' : 'trial' });
    case 'failed':
      return model.status === 'pending' ? to({ status: 'failed', provisioned: false }) : same;
    case 'trial-ends': {
      if (model.status === 'deleted' || model.trialOver) return same;
      const now = <S>(status: S) => (status === 'trial' ? ('active' as S) : status);
      return to({
        trialOver: true,
        status: now(model.status),
        suspendedFrom: now(model.suspendedFrom),
        archivedFrom: now(model.archivedFrom),
        deletedFrom: now(model.deletedFrom),
      });
    }
    case 'grace-ends':
      return model.status === 'deleting' && !model.held ? to({ erasing: true }) : same;
    case 'erased':
      return model.erasing ? to({ status: 'deleted' }) : same;
  }
}

/** What the step leads to. Pure. */
export function expected(model: Model, step: Step): Outcome {
  const { status } = model;
  if (step.by === 'itself') return itself(model, step.event);
  if (status === 'deleted') return { refused: 'tenant.deleted' };
  if (step.by === 'name') return commanded(model, step.command);
  if (step.by === 'status') return brought(model, step.status);
  if (step.by === 'hold') {
    if (step.held === model.held) return stays(model);
    return model.erasing ? notAllowed : stays({ ...model, held: step.held });
  }
  if (status === 'deleting') return { model, answers: 202 };
  if (model.held) return { refused: 'tenant.legal_hold' };
  if (step.confirm === 'wrong' || (step.graceDays === 0 && step.confirm === undefined)) return { refused: 'request.invalid' };
  return { model: { ...model, status: 'deleting', deletedFrom: status }, answers: 202 };
}

export const fresh: Model = {
  ...{ status: 'pending', suspendedFrom: null, archivedFrom: null, deletedFrom: null },
  ...{ provisioned: false, trialOver: false, held: false, erasing: false },
};
