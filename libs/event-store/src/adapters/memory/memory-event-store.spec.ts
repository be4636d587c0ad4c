import { modelProperty } from '../../conformance/model.js';
import { eventStoreConformance } from '../../conformance.js';
import { MemoryEventStore, type MemoryLogs } from './memory-event-store.js';

const logs: MemoryLogs = new Map();
eventStoreConformance('memory', async (options) => new MemoryEventStore({ ...options, logs }));
modelProperty('memory', async () => new MemoryEventStore({ logs }), 300);
