// Names for the generated types.
import type { components } from './schema';

type S = components['schemas'];
export type Run = S['Run'];
export type RunDetail = S['RunDetail'];
export type RunMini = S['RunMini'];
export type RunState = S['RunState'];
export type RunError = S['RunError'];
export type Step = S['Step'];
export type StepName = S['StepName'];
export type Pipeline = S['Pipeline'];
export type PipelineState = S['PipelineState'];
export type Schedule = S['Schedule'];
export type Overview = S['Overview'];
export type LogLine = S['LogLine'];
export type LogLevel = S['LogLevel'];
export type LogPage = S['LogPage'];
export type MetricSeries = S['MetricSeries'];
export type TriggerKind = S['TriggerKind'];
export type Credential = S['Credential'];
export type CredentialTest = S['CredentialTest'];
export type CronPreview = S['CronPreview'];
export type Me = S['Me'];
export type Problem = S['Problem'];
export type RunProgress = S['RunProgressEvent']['data'];
export type StreamEvent = S['StreamEvent'];

export const stepOrder: StepName[] = ['resolve', 'connect', 'query', 'read', 'transform', 'check', 'stage', 'commit', 'publish'];
export const runStates: RunState[] = ['queued', 'running', 'committed', 'succeeded', 'failed', 'cancelled', 'superseded', 'quarantined', 'skipped'];
