"""The JSON schema of the config file, for editors and for `guard schema`."""

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from guard.config.models import ConfigTable


class _TomlSchema(GenerateJsonSchema):
    """TOML has no null: a key that may be left out is simply not required."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        json_schema = super().default_schema(schema)
        return {key: value for key, value in json_schema.items() if not (key == "default" and value is None)}

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002  The base class names the parameter.
        return False


def json_schema() -> dict[str, object]:
    """Return the schema (draft 2020-12), made from the very models that `load` uses."""
    # Serialization is the mode in which defaults stand as people write them: "1m", not "PT1M". The keys are the same.
    schema = ConfigTable.model_json_schema(by_alias=True, schema_generator=_TomlSchema, mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "guard config"}
