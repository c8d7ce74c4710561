"""`/openapi.json`: FastAPI's document, with the request's schema, examples that work, and the token."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from trainyard.api.dependencies import Context
from trainyard.api.roles import RULES
from trainyard.contract import (
    PreviewRequest,
    Problem,
    Promotion,
    Rollback,
    ScoreRequest,
    TrainRequest,
)

REFERENCE = "#/components/schemas/{model}"
EXAMPLES: dict[str, dict[str, Any]] = {
    "classify_and_promote": {
        "model": "xgboost_classifier",
        "params": {"n_estimators": 100, "max_depth": 4},
        "data": {"source": "builtin", "name": "breast_cancer"},
        "experiment": "breast-cancer",
        "register": {
            "name": "breast-cancer",
            "promote": {"alias": "champion", "metric": "test_roc_auc"},
        },
    },
    "predict_a_number": {
        "model": "lightgbm_regressor",
        "data": {"source": "builtin", "name": "diabetes"},
        "split": {"stratify": False},
        "experiment": "diabetes",
    },
    "classify_images": {
        "model": "cnn",
        "params": {"conv_channels": [16, 32], "epochs": 5},
        "data": {"source": "builtin", "name": "digits"},
        "experiment": "digits",
    },
    "predict_a_number_by_a_network": {
        "model": "mlp_regressor",
        "params": {"hidden_units": [64], "epochs": 20},
        "data": {"source": "builtin", "name": "diabetes"},
        "split": {"stratify": False},
        "experiment": "diabetes",
    },
    "search_the_params": {
        "model": "xgboost_classifier",
        "data": {"source": "builtin", "name": "breast_cancer"},
        "experiment": "breast-cancer",
        "search": {"trials": 50},
        "register": {"name": "breast-cancer", "promote": {"metric": "test_roc_auc"}},
    },
    "search_as_asked": {
        "model": "lightgbm_regressor",
        "params": {"n_estimators": 300, "early_stopping_rounds": 20},
        "data": {"source": "builtin", "name": "diabetes"},
        "split": {"stratify": False},
        "experiment": "diabetes",
        "search": {
            "space": {
                "num_leaves": {"low": 4, "high": 64, "log": True},
                "learning_rate": {"low": 0.01, "high": 0.3, "log": True},
            },
            "metric": "validation_r2",
            "trials": 40,
            "warm_start": {"best_of": "experiment"},
            "cross_validation": 5,
        },
    },
    "search_a_network": {
        "model": "mlp",
        "params": {"epochs": 10},
        "data": {"source": "builtin", "name": "digits"},
        "experiment": "digits",
        "search": {
            "space": {
                "hidden_units": [[64], [128], [128, 64]],
                "learning_rate": {"low": 0.0001, "high": 0.01, "log": True},
            },
            "trials": 20,
            "pruner": "hyperband",
        },
    },
    "with_resources_of_its_own": {
        "model": "xgboost_classifier",
        "data": {"source": "builtin", "name": "breast_cancer"},
        "resources": {"cpus": 1, "memory_mb": 2000},
    },
    "by_two_workers": {
        "model": "xgboost_classifier",
        "data": {"source": "builtin", "name": "breast_cancer"},
        "resources": {"workers": 2},
    },
    "train_on_a_file": {
        "model": "xgboost_classifier",
        "data": {"source": "file", "uri": "bank_marketing.csv", "target": "y"},
        "experiment": "bank-marketing",
    },
}


SCORINGS: dict[str, dict[str, Any]] = {
    "score_a_table_with_the_champion": {
        "model_uri": "models:/bank-xgb@champion",
        "data": {"source": "file", "uri": "customers.parquet"},
        "keep": ["customer_id"],
        "output": "scores/customers.parquet",
        "experiment": "bank-scores",
    },
    "test_a_version_again": {
        "model_uri": "models:/bank-xgb/3",
        "data": {"source": "file", "uri": "bank_marketing.csv", "target": "y"},
        "rows": "test",
    },
}
PREVIEWS: dict[str, dict[str, Any]] = {
    "a_file": {"data": {"source": "file", "uri": "bank_marketing.csv"}},
    "the_answer_of_a_database": {
        "data": {
            "source": "sql",
            "connection": "warehouse",
            "query": "SELECT age, plan, churned FROM customers WHERE active",
        }
    },
}
PROMOTIONS: dict[str, dict[str, Any]] = {
    "decide_by_the_rule": {},
    "approve": {"approved": True, "by": "anna"},
    "reject": {"approved": False, "by": "anna", "comment": "the holidays are in the test rows"},
}

ROLLBACKS: dict[str, dict[str, Any]] = {
    "the_champion_before": {},
    "with_the_reason": {"by": "anna", "comment": "it is slow at night"},
    "once_though_it_is_repeated": {"holder": "3", "by": "anna"},
}


def describe(app: FastAPI, context: Context) -> dict[str, Any]:
    """The OpenAPI document, with examples of the models that are loaded."""
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for model in (TrainRequest, ScoreRequest, PreviewRequest, Promotion, Rollback, Problem):
        schema = model.model_json_schema(ref_template=REFERENCE)
        schemas |= schema.pop("$defs", {}) | {model.__name__: schema}
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    document["paths"]["/train"]["post"]["requestBody"] = _body("TrainRequest", _examples(context))
    document["paths"]["/score"]["post"]["requestBody"] = _body("ScoreRequest", SCORINGS)
    document["paths"]["/datasets/preview"]["post"]["requestBody"] = _body(
        "PreviewRequest", PREVIEWS
    )
    promotion = _body("Promotion", PROMOTIONS) | {"required": False}
    document["paths"]["/train/{run_id}/promotion"]["post"]["requestBody"] = promotion
    rollback = _body("Rollback", ROLLBACKS) | {"required": False}
    document["paths"]["/registered-models/{name}/rollback"]["post"]["requestBody"] = rollback
    if context.settings.closed:
        _name_roles(document)
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
        document["paths"]["/healthz"]["get"]["security"] = []
        document["paths"]["/readyz"]["get"]["security"] = [{}, {"token": []}]
    return document


def _name_roles(document: dict[str, Any]) -> None:
    """Say of each call which role it needs."""
    for methods in document["paths"].values():
        for operation in methods.values():
            if role := RULES.get(operation["operationId"]):
                said = operation.get("description", "").rstrip()
                operation["description"] = f"{said}\n\nNeeds the role `{role}`.".lstrip()


def _body(model: str, values: dict[str, dict[str, Any]]) -> dict[str, Any]:
    schema = {"$ref": REFERENCE.format(model=model)}
    examples = {name: {"value": value} for name, value in values.items()}
    content = {"application/json": {"schema": schema, "examples": examples}}
    return {"required": True, "content": content}


def _examples(context: Context) -> dict[str, dict[str, Any]]:
    models = context.supervisor.models
    fitting = {
        name: example
        for name, example in EXAMPLES.items()
        if not models or example["model"] in models
    }
    return fitting or {name: model.example for name, model in models.items()}
